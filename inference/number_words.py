"""Number words and what they amount to, in English and Chinese; pure."""

from inference.wording import listed

SMALL = {
    word: number
    for number, word in enumerate(
        listed(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
            "fifteen sixteen seventeen eighteen nineteen"
        )
    )
}
ORDINALS = {
    word: number
    for number, word in enumerate(
        listed(
            "fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
            "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
        ),
        start=4,
    )
}
TENS = {
    word: 10 * number
    for number, word in enumerate(
        listed("twenty thirty forty fifty sixty seventy eighty ninety"), start=2
    )
}
SCALES = {
    "hundred": 100,
    "k": 1000,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "bn": 10**9,
    "百": 100,
    "千": 1000,
    "萬": 10**4,
    "万": 10**4,
    "百萬": 10**6,
    "百万": 10**6,
    "千萬": 10**7,
    "千万": 10**7,
    "億": 10**8,
    "亿": 10**8,
    "兆": 10**12,
}
HAN_DIGITS = {digit: number for number, digit in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "兩": 2,
    "两": 2,
}
HAN_NUMERALS = "零〇一二三四五六七八九兩两十廿卅百千萬万億亿兆"
"""All characters of which numerals consist."""
_HAN_SMALL_SCALES = {"十": 10, "百": 100, "千": 1000}
_HAN_NEXT_SCALE = {"百": "十", "千": "百", "萬": "千", "万": "千", "億": "千萬", "亿": "千萬"}
_HAN_LARGE_SCALES = {"萬": 10**4, "万": 10**4, "億": 10**8, "亿": 10**8, "兆": 10**12}


def english_value(parts: list[str]) -> int:
    """The number that words such as "two", "hundred", "five" make together; two numbers of two
    digits are a year: "nineteen forty-five"."""
    century = SMALL.get(parts[0]) or TENS.get(parts[0]) or 0
    if 11 <= century <= 20 and not set(parts) & {*SCALES, "dozen"}:
        rest = sum(SMALL.get(part) or TENS.get(part) or 0 for part in parts[1:])
        if 10 <= rest <= 99:
            return 100 * century + rest
    total = current = 0
    for part in parts:
        if part in SMALL or part in TENS or part in ORDINALS:
            current += SMALL.get(part) or TENS.get(part) or ORDINALS.get(part, 0)
        elif part == "dozen":
            current = max(current, 1) * 12
        elif part == "hundred":
            current = max(current, 1) * 100
        elif part in SCALES:
            total += max(current, 1) * SCALES[part]
            current = 0
    return total + current


def han_value(digits: str) -> int:
    """The number that Han numerals make: "二十一", or digit by digit, "二〇二六"."""
    digits = digits.replace("廿", "二十").replace("卅", "三十")
    if all(digit in HAN_DIGITS for digit in digits):  # 二〇二六: digit by digit
        return int("".join(str(HAN_DIGITS[digit]) for digit in digits))
    total = section = digit = 0
    if len(digits) > 2 and digits[-1] in HAN_DIGITS and digits[-1] not in "零〇":
        digits += _HAN_NEXT_SCALE.get(digits[-2], "")  # 三萬六 are 36,000
    for character in digits:
        if character in HAN_DIGITS:
            digit = HAN_DIGITS[character]
        elif character in _HAN_SMALL_SCALES:
            section += (digit or 1) * _HAN_SMALL_SCALES[character]
            digit = 0
        else:
            scale, section = _HAN_LARGE_SCALES[character], section + digit
            if section == 0:  # 一萬億: the scales multiply
                total = max(total, 1) * scale
            elif scale < total:  # 兩億三千萬: they add
                total += section * scale
            else:
                total = (total + section) * scale
            section = digit = 0
    return total + section + digit
