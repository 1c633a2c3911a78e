"""A policy's text as plain lines: its headings, the section a citation leads to, the figures it holds.

Heading levels: 一、 or an article or annex; (一); 1.; (1); ①; an item inside a paragraph (一是). A citation
writes its marks in half-width brackets and remarks in full-width ones: `二(一)1(2)（末句）`. Figures are
taken in every sense their unit allows: 万 and 亿, %, ‰ and 百分之, Chinese numerals, 半年, 3月底前. Knows
nothing of packs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction

from engine.calendar import day_in_month
from engine.dataclass import dataclass
from engine.types import Kind, Type
from engine.values import FEN_PER_YUAN, Value

WIDE = str.maketrans("０１２３４５６７８９（）％．，：；　＋／", "0123456789()%.,:; +/")
_REMARK = re.compile(r"（([^（）]*)）")
_LEVELS: tuple[tuple[int, re.Pattern[str]], ...] = (
    (1, re.compile(r"-? *附件 *(\d*)(?=$|[ :.])")),
    (1, re.compile(r"第([一二三四五六七八九十百]+)条")),
    (1, re.compile(r"([一二三四五六七八九十]+)、")),
    (2, re.compile(r"\(([一二三四五六七八九十]+)\)")),
    (3, re.compile(r"(\d{1,2}) *[.、](?!\d)")),
    (4, re.compile(r"\((\d{1,2})\)")),
    (5, re.compile(r"([①-⑳])")),
)
ITEM = 6
"""The level of an item inside a paragraph: 一是, 二是."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the text; `level` and `mark` where it begins with a heading."""

    number: int
    text: str
    level: int = 0
    mark: str = ""


def read_source(text: str) -> list[Line]:
    """The lines of a text, with the heading each begins with."""
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        plain = raw.translate(WIDE).strip()
        for level, pattern in _LEVELS:
            match = pattern.match(plain)
            if match is not None:
                mark = f"附件{match[1]}" if "附件" in match[0] else match[1]
                lines.append(Line(number, plain, level, mark))
                break
        else:
            lines.append(Line(number, plain))
    return lines


def squeeze(text: str) -> str:
    """A text for comparison: width, blanks and quotation marks do not matter."""
    return re.sub(r"[\s“”\"'‘’]+", "", text.translate(WIDE))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a heading path: level and mark; `title` must stand in its heading, `hint` chooses among equals."""

    level: int
    mark: str
    title: str = ""
    hint: str = ""


_TOKEN = re.compile(
    r"(?P<annex>附件 *\d*)|第(?P<article>[一二三四五六七八九十百]+)条|\((?P<two>[一二三四五六七八九十]+)\)"
    r"|(?P<cn>[一二三四五六七八九十]+)|(?P<three>\d{1,2})|\((?P<four>\d{1,2})\)|(?P<five>[①-⑳])"
    r"|(?P<range>—|–|-)|(?P<list>、)|〔(?P<note>[^〔〕]*)〕| +(?P<named>[^;]*)"
)
_MARK = re.compile(r"附件|第[一二三四五六七八九十百]+条|\(?[一二三四五六七八九十]+(?=[(、;—)]|\d|$)|\(?\d|[①-⑳]")


def read_path(path: str) -> tuple[list[tuple[Step, ...]], list[str]]:
    """The heading paths a citation names, and the words (a table's name, a note) that go with them.

    `二(二)1、2` is two paths, `三(一)—(四)` four, `二(一)3；附件` two; `一、行动目标` names its heading.
    Marks stand in half-width brackets, remarks in full-width ones.
    """
    path = _REMARK.sub(lambda match: f"〔{match[1].replace('；', '，')}〕", path)
    found: list[tuple[Step, ...]] = []
    words: list[str] = []
    for part in path.translate(WIDE).split(";"):
        current: list[Step] = []
        fresh, ranged, place = True, False, 0
        part = part.strip()
        while place < len(part):
            match = _TOKEN.match(part, place)
            if match is None:
                words.append(part[place:])
                break
            place = match.end()
            kind = match.lastgroup or ""
            if kind == "list":
                rest = part[place:]
                if current and current[-1].level == 1 and not current[-1].title and not _MARK.match(rest):
                    title = re.match(r"[^(;〔]+", rest)
                    assert title is not None
                    text = re.split(r"、(?=[一二三四五六七八九十]*\()", title[0])[0]
                    current[-1] = Step(1, current[-1].mark, text)
                    place += len(text)
                    continue
                found.append(tuple(current))
                fresh = True
            elif kind == "range":
                ranged = True
            elif kind in ("note", "named"):
                text = match[kind]
                if kind == "note" and len(current) == 1 and current[0].level == 1:
                    current[0] = Step(1, current[0].mark, current[0].title, text)
                words.append(text)
            else:
                step = _step(kind, match, current, fresh)
                if ranged and current and current[-1].level == step.level:
                    found += [(*current[:-1], middle) for middle in _between(current[-1], step)]
                    current[-1] = step
                else:
                    current = [item for item in current if item.level < step.level] + [step]
                fresh, ranged = False, False
        if current:
            found.append(tuple(current))
    return list(dict.fromkeys(found)), [word for word in words if word.strip()]


def _step(kind: str, match: re.Match[str], current: Sequence[Step], fresh: bool) -> Step:
    if kind == "annex":
        return Step(1, match["annex"].replace(" ", ""))
    if kind == "article":
        return Step(1, match["article"])
    if kind == "cn":
        item = bool(current) and (not fresh or current[-1].level == ITEM)
        return Step(ITEM if item else 1, match["cn"])
    level = {"two": 2, "three": 3, "four": 4, "five": 5}[kind]
    return Step(level, match[kind])


_CHINESE = "零一二三四五六七八九"


def chinese_number(text: str) -> int | None:
    """`十五` is 15, `两` 2, `一百二十` 120; None where it is no numeral."""
    total, current = 0, 0
    for char in text:
        if char in "两二":
            current = 2
        elif char == "〇" or char in _CHINESE:
            current = 0 if char == "〇" else _CHINESE.index(char)
        elif char in "十百千":
            total += (current or 1) * {"十": 10, "百": 100, "千": 1000}[char]
            current = 0
        else:
            return None
    return total + current if text else None


def _between(first: Step, last: Step) -> Iterator[Step]:
    """The steps of a range, the last one left out."""

    def order(mark: str) -> int | None:
        if mark.isdigit():
            return int(mark)
        if len(mark) == 1 and "①" <= mark <= "⑳":
            return ord(mark) - ord("①") + 1
        return chinese_number(mark)

    start, end = order(first.mark), order(last.mark)
    if start is None or end is None:
        return
    for number in range(start, end):
        mark = str(number) if first.mark.isdigit() else _chinese(number)
        yield Step(first.level, chr(ord("①") + number - 1) if "①" <= first.mark <= "⑳" else mark)


def _chinese(number: int) -> str:
    tens, ones = divmod(number, 10)
    return ("" if tens == 0 else "十" if tens == 1 else _CHINESE[tens] + "十") + (_CHINESE[ones] if ones else "")


def find_section(lines: Sequence[Line], path: Sequence[Step]) -> list[Line] | None:
    """The lines a path leads to, or None. Where a heading occurs twice, the one whose title fits, else all."""
    span = list(lines)
    for step in path:
        starts = [place for place, line in enumerate(span) if (line.level, line.mark) == (step.level, step.mark)]
        if step.title:
            starts = [place for place in starts if squeeze(step.title) in squeeze(span[place].text)]
        if step.hint:
            starts = [place for place in starts if squeeze(step.hint) in squeeze(span[place].text)] or starts
        if not starts:
            inline = _inline(span, step)
            if inline is None:
                return None
            span = inline
            continue
        picked: list[Line] = []
        for start in starts if step.level == 1 else starts[:1]:
            picked += span[start : _end(span, start, step)]
        span = picked
    return span


def _end(span: Sequence[Line], start: int, step: Step) -> int:
    """Where a section ends: at the next heading as high; an annex only at the next annex."""
    annex = step.mark.startswith("附件")
    for place in range(start + 1, len(span)):
        if 0 < span[place].level <= step.level and (not annex or span[place].mark.startswith("附件")):
            return place
    return len(span)


def _inline(span: Sequence[Line], step: Step) -> list[Line] | None:
    """An item inside a paragraph: from its mark to the next one of its kind."""
    patterns = {
        ITEM: r"{}是|{}、|\({}\)", 4: r"\({}\)", 3: r"(?<![\d.]){}\. ?(?!\d)", 2: r"\({}\)", 5: r"{}",
    }  # fmt: skip
    if step.level not in patterns:
        return None
    pattern = re.compile(patterns[step.level].replace("{}", re.escape(step.mark)))
    following = step.mark
    if step.level == ITEM and (number := chinese_number(step.mark)) is not None:
        following = _chinese(number + 1)
    elif step.mark.isdigit():
        following = str(int(step.mark) + 1)
    after = re.compile(patterns[step.level].replace("{}", re.escape(following)))
    for place, line in enumerate(span):
        match = pattern.search(line.text)
        if match is None:
            continue
        picked: list[Line] = []
        for later in span[place:]:
            text = later.text[match.start() :] if later is line else later.text
            stop = after.search(text, 1) if following != step.mark else None
            picked.append(Line(later.number, text[: stop.start()] if stop else text))
            if stop:
                break
        return picked
    return None


# Figures of a text


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a section says in figures: amounts of money (yuan), ratios, plain numbers, days."""

    money: frozenset[Fraction]
    ratios: frozenset[Fraction]
    plain: frozenset[Fraction]
    days: frozenset[tuple[int | None, int, int]]
    years: frozenset[int]


_UNIT = r"(万亿|亿|千万|百万|万|千|百)? *(元|%|‰|个百分点|倍|年|成)?"
FIGURE = re.compile(rf"(?<![\d.])(\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?) *{_UNIT}")
_LIST = re.compile(rf"(?: *(?:、|,|/|—|–|~|-|和|或|及|至) *\d+(?:\.\d+)?)+ *{_UNIT}")
"""Further numbers of a list, whose last one carries the unit of all: 5、4、3万元."""
SCALES = {"": 1, "百": 100, "千": 1000, "万": 10**4, "百万": 10**6, "千万": 10**7, "亿": 10**8, "万亿": 10**12}
_WORDS = re.compile(
    r"([零〇一二两三四五六七八九十百千]+) *(万|亿)? *(?=[年个次天日月项家户倍级档名人成周批类种条处位所场件届旬]|分之)"
)
_DAY = re.compile(r"(?:(\d{4}) *年)? *(\d{1,2}) *月 *(?:(\d{1,2}) *日|(上旬|中旬|下旬)|(底|末))?")
_SPAN = re.compile(r"(\d{1,2}) *月? *[—–\-至~] *(\d{1,2}) *月")


def numbers_of(lines: Sequence[Line]) -> Numbers:
    """Every figure of some lines, in the senses its unit allows; in a table's line, in those of the table's head."""
    # A paragraph may be broken anywhere, a table's line nowhere.
    text = "".join(f"\n{line.text}\n" if "\t" in line.text else line.text for line in lines)
    money: set[Fraction] = set()
    ratios: set[Fraction] = set()
    plain: set[Fraction] = set()
    rows = [line.text for line in lines if "\t" in line.text]
    heads = [size for word, size in SCALES.items() if word and f"{word}元" in text]
    for row in rows:
        for match in FIGURE.finditer(row):
            number = Fraction(match[1].replace(",", ""))
            plain.add(number)
            ratios.add(number / 100)
            money |= {number * size for size in (1, *heads)}
    for match in FIGURE.finditer(text):
        number = Fraction(match[1].replace(",", ""))
        scale, unit = match[2] or "", match[3] or ""
        if not scale and not unit and (listed := _LIST.match(text, match.end())) is not None:
            scale, unit = listed[1] or "", listed[2] or ""
        scaled = number * SCALES[scale]
        plain |= {number, scaled}
        if unit == "年":
            plain.add(number * 12)
        if unit == "元" or scale in ("万", "亿", "万亿", "百万", "千万"):
            money.add(scaled)
        elif unit in ("%", "个百分点"):
            ratios.add(number / 100)
        elif unit == "‰":
            ratios.add(number / 1000)
        elif unit == "倍":
            ratios |= {number, number + 1}
        elif unit == "成":
            ratios.add(number / 10)
    for found in re.finditer(r"(\d+) *[:/] *(\d+)", text):
        if int(found[2]):
            ratios.add(Fraction(int(found[1]), int(found[2])))
    for found in _WORDS.finditer(text):
        value = chinese_number(found[1])
        if value is None:
            continue
        whole = Fraction(value * SCALES[found[2] or ""])
        after = text[found.end() : found.end() + 1]
        plain |= {whole, whole * 12} if after == "年" else {whole}
        if after == "倍":
            ratios.add(whole)
        if after == "成":
            ratios.add(whole / 10)
    for found in re.finditer(r"百分之([零〇一二两三四五六七八九十百]+)", text):
        ratios.add(Fraction(chinese_number(found[1]) or 0, 100))
    for found in re.finditer(r"([一二三四五六七八九十]+)分之([一二三四五六七八九十]+)", text):
        below, above = chinese_number(found[1]), chinese_number(found[2])
        if below and above:
            ratios.add(Fraction(above, below))
    if "半年" in text:
        plain.add(Fraction(6))
    if "减半" in text or "一半" in text:
        ratios.add(Fraction(1, 2))
    if re.search(r"过亿|上亿|(?<![\d ])亿元以上", text):
        money.add(Fraction(10**8))
    return Numbers(
        frozenset(money), frozenset(ratios), frozenset(plain), frozenset(_days(text)), frozenset(_years(text))
    )


def _years(text: str) -> Iterator[int]:
    for match in re.finditer(r"(\d{4}) *年?", text):
        yield int(match[1])


def _days(text: str) -> Iterator[tuple[int | None, int, int]]:
    """Days the text names or bounds: 4月10日, 3月底前, 2月上旬, 6月, 年底, 上半年; the year where it is written."""
    for match in _DAY.finditer(text):
        year = int(match[1]) if match[1] else None
        month = int(match[2])
        if not 1 <= month <= 12:
            continue
        if match[3]:
            yield year, month, int(match[3])
        elif match[4] in ("上旬", "中旬"):
            yield year, month, 10 if match[4] == "上旬" else 20
        else:
            yield year, month, 31
    for match in _SPAN.finditer(text):
        yield None, int(match[2]), 31
    for match in re.finditer(r"(?:(\d{4}) *年?)? *(年底|年末|年内|全年|底前|底|末|年度)", text):
        yield int(match[1]) if match[1] else None, 12, 31
    for match in re.finditer(r"(\d{4}) *年", text):
        yield int(match[1]), 12, 31
        yield int(match[1]), 1, 1
    for word, month in (("上半年", 6), ("一季度", 3), ("1季度", 3), ("前三季度", 9), ("三季度", 9), ("前 3 季度", 9)):
        if word in text:
            yield None, month, 31


def stands(value: Value, of: Type, numbers: Numbers, years: frozenset[int]) -> bool:
    """Whether a figure stands in a section: money in fen, a ratio, a number, a day."""
    if isinstance(value, date):
        return any(
            (year == value.year or (year is None and value.year in years | numbers.years))
            and month == value.month
            and day_in_month(value.year, month, day) == value
            for year, month, day in numbers.days
        )
    number = Fraction(value)
    if of.kind is Kind.MONEY:
        return number / FEN_PER_YUAN in numbers.money
    if of.kind is Kind.RATIO:
        growth = number - 1  # 增长15%以上 is 115% of last year
        return number in numbers.ratios or (growth > 0 and growth in numbers.ratios)
    return number in numbers.plain or (number.denominator == 1 and int(number) in years)
