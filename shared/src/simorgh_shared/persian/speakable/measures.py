"""Units of measure and percent behind a number, as words."""

import re

from simorgh_shared.persian.speakable.numbers import NUMBER
from simorgh_shared.persian.speakable.rules import AMOUNT, NO_LETTER, Rule
from simorgh_shared.persian.speakable.tables import any_of, table

_UNITS = table("""
km کیلومتر، m متر، cm سانتی‌متر، mm میلی‌متر، nm نانومتر، µm میکرومتر، μm میکرومتر، dm دسی‌متر، mi مایل،
ft فوت، yd یارد، kg کیلوگرم، g گرم، gr گرم، mg میلی‌گرم، µg میکروگرم، μg میکروگرم، mcg میکروگرم، t تن،
lb پوند، lbs پوند، oz اونس، L لیتر، l لیتر، mL میلی‌لیتر، ml میلی‌لیتر، cL سانتی‌لیتر، cl سانتی‌لیتر،
dL دسی‌لیتر، dl دسی‌لیتر، cc سی‌سی، gal گالن، °C درجهٔ سانتی‌گراد، ℃ درجهٔ سانتی‌گراد، °F درجهٔ فارنهایت،
℉ درجهٔ فارنهایت، ° درجه، º درجه، K کلوین، km/h کیلومتر بر ساعت، kmh کیلومتر بر ساعت، kph کیلومتر بر ساعت،
mph مایل بر ساعت، rpm دور در دقیقه، bpm ضربان در دقیقه، h ساعت، hr ساعت، hrs ساعت، min دقیقه، s ثانیه،
sec ثانیه، ms میلی‌ثانیه، µs میکروثانیه، μs میکروثانیه، ns نانوثانیه، bit بیت، KB کیلوبایت، kB کیلوبایت،
MB مگابایت، GB گیگابایت، TB ترابایت، PB پتابایت، Kb کیلوبیت، Mb مگابیت، Gb گیگابیت، KiB کیبی‌بایت،
MiB مبی‌بایت، GiB گیبی‌بایت، kbps کیلوبیت بر ثانیه، Mbps مگابیت بر ثانیه، Gbps گیگابیت بر ثانیه،
fps فریم بر ثانیه، dpi نقطه در اینچ، W وات، kW کیلووات، MW مگاوات، GW گیگاوات، Wh وات‌ساعت، kWh کیلووات‌ساعت،
MWh مگاوات‌ساعت، mAh میلی‌آمپرساعت، V ولت، kV کیلوولت، mV میلی‌ولت، mA میلی‌آمپر، Ω اهم، kΩ کیلواهم،
MΩ مگااهم، J ژول، kJ کیلوژول، cal کالری، kcal کیلوکالری، N نیوتن، Pa پاسکال، kPa کیلوپاسکال، hPa هکتوپاسکال،
MPa مگاپاسکال، bar بار، psi پی‌اس‌آی، mmHg میلی‌متر جیوه، atm اتمسفر، Hz هرتز، kHz کیلوهرتز، MHz مگاهرتز،
GHz گیگاهرتز، dB دسی‌بل، dBm دسی‌بل میلی‌وات، lx لوکس، lm لومن، hp اسب بخار، ha هکتار، mol مول،
ppm قسمت در میلیون، px پیکسل، MP مگاپیکسل، IU واحد بین‌المللی، eV الکترون‌ولت، کم کیلومتر، سم سانتی‌متر،
مم میلی‌متر، ک.م کیلومتر، س.م سانتی‌متر، م.م میلی‌متر، ک.گ کیلوگرم، کگ کیلوگرم، م.گ میلی‌گرم، م متر، گ گرم،
سی.سی سی‌سی، کیلو کیلو
""")
_WHOLE_WORDS_THAT_MEAN_MORE = ("کم", "کیلو")
"""۲۰ کم است says that twenty are few, and a کیلو is said as it is written."""
_SQUARE = {"2": "مربع", "²": "مربع", "3": "مکعب", "³": "مکعب"}
_PREFIXED = {name: word for name, word in _UNITS.items() if name not in _WHOLE_WORDS_THAT_MEAN_MORE}
_SPELLED = table("""
متر متر، کیلومتر کیلومتر، سانتی‌متر سانتی‌متر، گرم گرم، کیلوگرم کیلوگرم، میلی‌گرم میلی‌گرم، لیتر لیتر،
میلی‌لیتر میلی‌لیتر، دسی‌لیتر دسی‌لیتر، تن تن، ساعت ساعت، دقیقه دقیقه، ثانیه ثانیه، مایل مایل، هکتار هکتار،
نفر نفر، روز روز، سال سال، ماه ماه، متر‌مربع متر مربع
""")
_UNIT = f"(?:{any_of(_PREFIXED)})"
_POWER = "([²³]|[23](?![0-9.,/]))?"
_BEFORE = r"(?<=[\d½⅓⅔¼¾⅛⁰¹⁴-⁹])(?: ?|\u200c)"
_OVER = f"(?:/({any_of({*_PREFIXED, *_SPELLED})}){_POWER})?"
_UNIT_BEHIND = re.compile(rf"{_BEFORE}({_UNIT}){_POWER}{_OVER}{NO_LETTER}(?![²³/^])")
_SPELLED_UNIT = f"(?:{any_of(_SPELLED)})"
_SPELLED_OVER = re.compile(rf"(?<=[\d ])({_SPELLED_UNIT})/({_SPELLED_UNIT}){NO_LETTER}")
_SPELLED_POWER = re.compile(r"(?<=متر) ?([²³])")
_ARC = re.compile(r"(\d{1,3})° ?(\d{1,2})['’′] ?(?:(\d{1,2}(?:\.\d+)?)(?:\"|″|'') ?)?")
_FEET = re.compile(r"(?<=\d)(?:\"|″)(?!\w)")
_PERCENT_FIRST = re.compile(rf"(?<![\d.,٫])([%٪‰؉]) ?({NUMBER}(?: ?(?:[-–]|تا) ?{NUMBER})?)(?! ?[%٪])")
_PERCENT_SPAN = re.compile(rf"({AMOUNT}) ?[%٪] ?[-–—] ?(?={NUMBER} ?[%٪])")
_DEGREES_FIRST = re.compile(rf"[°º] ?({NUMBER})")
_THOUSANDS = re.compile(r"(?<=\d)[kK](?![A-Za-z0-9/])")
_PERCENT_BEHIND = re.compile(r"(?<=[\d½⅓⅔¼¾⅛]) ?([%٪‰؉])")
_MORE_OF_PERCENT = re.compile("([%٪‰؉])")
_PERCENT = {"%": "درصد", "٪": "درصد", "‰": "در هزار", "؉": "در هزار"}


def _power(word: str, power: str | None) -> str:
    return f"{word} {_SQUARE[power]}" if power else word


def _unit(found: re.Match[str]) -> str:
    unit, power, other, other_power = found.groups()
    spoken = _power(_PREFIXED[unit], power)
    if other is None:
        return spoken
    return f"{spoken} بر {_power(_PREFIXED.get(other) or _SPELLED[other], other_power)}"


def _arc(found: re.Match[str]) -> str:
    seconds = f" و {found[3]} ثانیه" if found[3] else ""
    return f"{found[1]} درجه و {found[2]} دقیقه{seconds}"


RULES = (
    Rule(_PERCENT_SPAN, lambda found: f"{found[1]} تا "),
    Rule(_THOUSANDS, lambda _: "هزار"),
    Rule(_PERCENT_FIRST, lambda found: f"{found[2]} {_PERCENT[found[1]]}"),
    Rule(_PERCENT_BEHIND, lambda found: _PERCENT[found[1]]),
    Rule(_MORE_OF_PERCENT, lambda found: _PERCENT[found[1]]),
    Rule(_ARC, _arc),
    Rule(_UNIT_BEHIND, _unit),
    Rule(_DEGREES_FIRST, lambda found: f"{found[1]} درجه"),
    Rule(_FEET, lambda _: "اینچ"),
    Rule(_SPELLED_OVER, lambda found: f"{_SPELLED[found[1]]} بر {_SPELLED[found[2]]}"),
    Rule(_SPELLED_POWER, lambda found: _SQUARE[found[1]]),
)
