"""Words on the terminal, in English and Traditional Chinese; chosen by the locale."""

import os

_ZH = {
    "Question": "問題",
    "Answer": "答案",
    "No agreement": "沒有達成共識",
    "Fallback, one node's answer, not agreed": "備援：單一節點的答案，未經共識",
    "agreed": "已達成共識",
    "agreed_low_confidence": "已達成共識（信心偏低）",
    "no_agreement": "沒有達成共識",
    "single": "單一節點，未經共識",
    "Value": "值",
    "Reason": "理由",
    "Field": "欄位",
    "Agreed values": "達成共識的值",
    "quartiles": "四分位數",
    "excluded": "未採計",
    "outlier": "離群值",
    "no_value": "未給值",
    "median": "中位數",
    "leading": "領先",
    "not agreed": "未達成共識",
    "valid answer": "答案檢查通過",
    "doubtful answer": "答案有疑慮",
    "quality": "品質",
    "relevance": "相關性",
    "consistency": "一致性",
    "The question speaks to the model": "問題中含有給模型的指令",
    "Who said what": "各節點的回答",
    "Node": "節點",
    "Model": "模型",
    "Time": "時間",
    "Cluster": "群組",
    "Similarity": "相似度",
    "Contradictions": "矛盾",
    "Votes": "投票",
    "Timeline": "時間軸",
    "Evidence": "不當行為的證據",
    "agreement": "同意率",
    "confidence": "信心",
    "clusters": "群組",
    "signatures": "簽章",
    "members": "成員",
    "quorum": "法定數",
    "elapsed": "總時間",
    "slowest model": "最慢的模型",
    "thinking": "思考",
    "silent": "沉默",
    "absent": "未參與",
    "abstained": "棄權",
    "late": "遲到",
    "cut at the token limit": "達字數上限而截斷",
    "won": "勝出",
    "outvoted": "被否決",
    "accepted": "已接受",
    "committed": "已承諾",
    "sealed": "已封存",
    "revealed": "已揭示",
    "proposed": "已提案",
    "prepared": "已準備",
    "decided": "已決定",
    "Valid": "有效",
    "checked offline": "離線驗證",
    "Status": "狀態",
    "connected": "已連線",
    "away": "離線",
    "address": "位址",
    "signed two different": "簽署了兩份不同的",
}


def _chinese() -> bool:
    for variable in ("QNODE_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable)
        if value:
            return value.lower().startswith("zh")
    return False


def label(text: str) -> str:
    """The word as this user reads it."""
    return _ZH.get(text, text) if _chinese() else text
