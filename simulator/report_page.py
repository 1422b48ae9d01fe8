# ruff: noqa: E501  # a script is read by browsers
"""The page's style and script: data in, drawings out, in the reader's browser."""

STYLE = """
:root{--ink:#1d2733;--soft:#5d6b7a;--line:#d9e0e7;--paper:#fff;--ground:#f4f6f8;--good:#12805c;
--bad:#b3261e;--warn:#9a5b00;--accent:#2457a6}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9aa8b5;--line:#33404c;--paper:#1b232b;
--ground:#12181e;--good:#4cc79b;--bad:#ff8a80;--warn:#f0b357;--accent:#86b1ff}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,"Noto Sans","Noto Sans TC",sans-serif}
header{padding:1.6rem 2rem .4rem;max-width:1200px;margin:auto}h1{margin:0;font-size:1.5rem}
header p{margin:.2rem 0;color:var(--soft)}main{max-width:1200px;margin:auto;padding:0 2rem 3rem}
table{width:100%;border-collapse:collapse;background:var(--paper);border:1px solid var(--line);
border-radius:8px;overflow:hidden}th,td{padding:.45rem .7rem;text-align:right;
border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:600;font-size:.82rem}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}
a{color:var(--accent);text-decoration:none}
.holds{color:var(--good)}.safety,.crash{color:var(--bad)}.liveness,.unexpected{color:var(--warn)}
.run{background:var(--paper);border:1px solid var(--line);border-radius:10px;margin-top:1.6rem;
padding:1.2rem 1.4rem}h2{margin:0;font-size:1.2rem}h2 span{font-size:.9rem;margin-left:.6rem}
h3{margin:1.2rem 0 .3rem;font-size:.95rem}.sentence{margin:.3rem 0;color:var(--soft)}
.hint{margin:0 0 .4rem;color:var(--soft);font-size:.85rem}canvas{width:100%;height:auto;
border:1px solid var(--line);border-radius:6px;display:block;touch-action:none}
.fault{display:grid;grid-template-columns:15rem 1fr;gap:.6rem;align-items:center;font-size:.85rem}
.fault .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.fault .track{position:relative;height:13px;background:var(--ground);border-radius:3px}
.fault .bar{position:absolute;top:0;bottom:0;border-radius:3px;background:var(--warn);opacity:.8}
.kinds label{margin-right:.9rem;font-size:.85rem;white-space:nowrap}
.kinds i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em}
.moments{font:12.5px/1.6 ui-monospace,monospace;max-height:24rem;overflow:auto}
"""

SCRIPT = r"""
const palette=['#2457a6','#c2410c','#12805c','#8b3fa8','#b3261e','#0e7490','#a16207','#be185d',
'#4d7c0f','#6d5bd0','#64748b','#0f766e','#9f1239','#3f6212','#7c2d12'];
const css=n=>getComputedStyle(document.documentElement).getPropertyValue(n);
function el(tag,cls,text){const e=document.createElement(tag);if(cls)e.className=cls;
if(text!==undefined)e.textContent=text;return e}
for(const run of document.querySelectorAll('.run')){
const d=JSON.parse(run.querySelector('.data').textContent);
const faults=run.querySelector('.faults');
if(!d.faults.length)faults.append(el('p','hint','None.'));
for(const [name,about,at,until] of d.faults){const row=el('div','fault');
const label=el('div','name',name+(about?' ('+about+')':''));label.title=label.textContent;
const track=el('div','track'),bar=el('div','bar');const end=until===null?d.end:until;
bar.style.left=100*at/d.end+'%';bar.style.width=Math.max(.3,100*(end-at)/d.end)+'%';
bar.title=(at/1000)+' s to '+(until===null?'the end':until/1000+' s');
track.append(bar);row.append(label,track);faults.append(row)}
const list=run.querySelector('.moments');
for(const [at,who,what,detail] of d.moments)list.append(el('li','',(at/1000).toFixed(3)+' s  '+
(who<0?'network':'R'+who)+'  '+what+' '+detail));
curves(run.querySelector('.curves'),d);space(run.querySelector('.space'),run.querySelector('.kinds'),d)}
function curves(c,d){const g=c.getContext('2d'),left=60,right=c.width-60,bottom=160,top=15;
const x=t=>left+(right-left)*t/d.end;const slots=new Map();const views=new Map();
let decided=[[0,0]],seen=new Set(),topView=0,series={};
for(const [at,who,what,detail] of d.moments){if(what==='applies'){const n=detail.split(' ')[1];
if(!seen.has(n)){seen.add(n);decided.push([at,seen.size])}}
if(what==='enters'){const v=+detail.split(' ')[1];topView=Math.max(topView,v);
(series[who]??=[[0,0]]).push([at,v])}}
g.strokeStyle=css('--line');g.strokeRect(left,top,right-left,bottom-top);g.fillStyle=css('--soft');
g.font='12px system-ui';g.textAlign='center';const stepMs=nice(d.end/8);
for(let t=0;t<=d.end;t+=stepMs)g.fillText((t/1000)+' s',x(t),bottom+16);
g.fillStyle=css('--line');g.fillRect(x(d.calm),top,1.5,bottom-top);g.fillStyle=css('--soft');
g.textAlign='left';g.textAlign='right';g.fillText('calm',x(d.calm)-4,bottom-6);g.textAlign='left';
const all=Math.max(1,seen.size);const plot=(pts,max,color)=>{g.strokeStyle=color;g.lineWidth=1.8;
g.beginPath();let last=0;for(const [t,v] of [...pts,[d.end,pts.at(-1)[1]]]){
g.lineTo(x(t),bottom-(bottom-top)*last/max);last=v;g.lineTo(x(t),bottom-(bottom-top)*v/max)}
g.stroke()};
plot(decided,all*1.08,css('--good'));
for(const s of Object.values(series))plot(s,Math.max(1,topView)*1.08,css('--warn'));
g.fillStyle=css('--good');g.textAlign='right';g.fillText(all+' slots',left-4,top+14);
g.fillStyle=css('--warn');g.textAlign='left';g.fillText('view '+topView,right+4,top+14)}
function nice(v){const p=10**Math.floor(Math.log10(v));return [1,2,5,10].map(k=>k*p).find(k=>k>=v)}
function space(c,box,d){const g=c.getContext('2d'),left=50;let from=0,to=Math.min(d.end,3000);
const shown=new Set(d.kinds.map((_,i)=>i));d.kinds.forEach((kind,i)=>{const l=el('label'),
b=el('input');b.type='checkbox';b.checked=kind!=='Height';if(!b.checked)shown.delete(i);
b.onchange=()=>{b.checked?shown.add(i):shown.delete(i);draw()};const s=el('i');
s.style.background=palette[i%palette.length];l.append(b,s,kind);box.append(l)});
const y=n=>50+70*n,x=t=>left+(c.width-left-30)*(t-from)/(to-from);
function draw(){g.clearRect(0,0,c.width,c.height);g.font='12px system-ui';g.fillStyle=css('--soft');
g.textAlign='center';const stepMs=nice((to-from)/8);
for(let t=Math.ceil(from/stepMs)*stepMs;t<=to;t+=stepMs){g.fillText((t/1000).toFixed(3)+' s',x(t),18);
g.fillStyle=css('--line');g.fillRect(x(t),26,1,c.height-40);g.fillStyle=css('--soft')}
g.textAlign='left';for(let n=0;n<d.nodes;n++){g.fillStyle=css('--ink');g.fillText('R'+n,12,y(n)+4);
g.fillStyle=css('--soft');g.fillRect(left,y(n),c.width-left-30,1)}
g.lineWidth=.9;for(const [s,a,i,j,k] of d.letters){if(!shown.has(k)||s>to||(a??s)<from)continue;
g.strokeStyle=g.fillStyle=palette[k%palette.length];
if(a===null){g.beginPath();g.arc(x(s),y(i)+(j>i?9:-9),2.6,0,7);g.fill();continue}
g.globalAlpha=.75;g.beginPath();g.moveTo(x(s),y(i));g.lineTo(x(a),y(j));g.stroke();g.globalAlpha=1}
for(const [t,who,what,detail] of d.moments){if(who<0||t<from||t>to)continue;
if(what==='crashes'||what==='starts'){g.fillStyle=css(what==='crashes'?'--bad':'--good');
g.fillRect(x(t)-3,y(who)-8,6,16)}
else if(what==='applies'){g.fillStyle=css('--good');g.beginPath();g.arc(x(t),y(who),3.4,0,7);g.fill()}}}
c.onwheel=e=>{e.preventDefault();const r=c.getBoundingClientRect();
const t=from+(to-from)*((e.clientX-r.left)*c.width/r.width-left)/(c.width-left-30);
const k=e.deltaY>0?1.25:.8;from=Math.max(0,t-(t-from)*k);to=Math.min(d.end,t+(to-t)*k);
if(to-from<1)to=from+1;draw()};
let drag=null;c.onpointerdown=e=>{drag=[e.clientX,from,to];c.setPointerCapture(e.pointerId)};
c.onpointerup=()=>drag=null;c.onpointermove=e=>{if(!drag)return;
const w=drag[2]-drag[1],by=(drag[0]-e.clientX)/c.getBoundingClientRect().width*w;
from=Math.min(Math.max(0,drag[1]+by),Math.max(0,d.end-w));to=from+w;draw()};draw()}
"""
