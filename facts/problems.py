"""The wording of every problem this package reports, in Chinese and English, to be read together.

What was read and what was expected stand in the message; what to do stands in the help.
"""

from __future__ import annotations

from engine.errors import Wording, register


def _cell(zh: str, en: str, help_zh: str, help_en: str) -> Wording:
    return Wording(
        f"{{label}}：{zh}（应为{{expected_zh}}）", f"{{label_en}}: {en} (expected {{expected_en}})",
        f"{{hint_zh}}{help_zh}", f"{{hint_en}}{help_en}")  # fmt: skip


CELLS = {
    "bad-amount": _cell("`{value}` 不是金额", "`{value}` is not an amount",
                        "写成数字，如 1200 或 1,200.50，也可带单位，如 1.2亿元；不知道就留空",
                        "write digits such as 1200 or 1,200.50, or with a unit, 1.2亿元; leave it blank if unknown"),
    "finer-than-fen": _cell("`{value}` 精确到分以下", "`{value}` is finer than one fen",
                            "四舍五入到分后再填，并核对单位", "round it to the fen, and check the unit"),
    "bad-percentage": _cell("`{value}` 不是百分比", "`{value}` is not a percentage",
                            "写成 85% 或 85", "write 85% or 85"),
    "percent-ambiguous": _cell("{reason_zh}", "{reason_en}",
                               "带上百分号（如 85%），或在表头注明 (%)",
                               "write the sign (85%), or put (%) in the heading"),
    "bad-number": _cell("`{value}` 不是数字", "`{value}` is not a number",
                        "写成数字；不知道就留空", "write digits; leave it blank if unknown"),
    "bad-integer": _cell("`{value}` 不是整数", "`{value}` is not a whole number", "写成整数", "write a whole number"),
    "bad-date": _cell("`{value}` 不是日期", "`{value}` is not a date",
                      "写成 2019-03-22 或 2019年3月22日", "write 2019-03-22 or 2019年3月22日"),
    "no-such-day": _cell("没有 `{value}` 这一天", "there is no day `{value}`", "核对日期", "check the date"),
    "bad-boolean": _cell("`{value}` 不是“是”或“否”", "`{value}` is neither yes nor no",
                         "写“是”或“否”；不知道就留空", "write 是 or 否 (yes or no); leave it blank if unknown"),
    "bad-choice": _cell("`{value}` 不在可选值中", "`{value}` is not one of the choices",
                        "照所列写法填写", "use one of the spellings listed"),
    "bad-text": _cell("`{value}` 不是文字", "`{value}` is not text", "写成文字", "write text"),
    "bad-cell": _cell("`{value}` 读不出来", "`{value}` cannot be read", "改成所要的内容", "write what is expected"),
    "cell-too-long": _cell("{reason_zh}，不像一个值", "{reason_en}, which is not one value",
                           "检查是否粘贴错位，或引号没有收尾", "look for a misplaced paste or a quote left open"),
    "cell-error": _cell("单元格是错误值", "the cell holds an error value",
                        "修好公式，或改填数值", "mend the formula, or type the value"),
    "formula-not-computed": _cell("公式没有算出的结果", "the formula has no computed result",
                                  "在 Excel 或 WPS 中打开，重新计算并保存，或改填数值",
                                  "open the file in Excel or WPS, recalculate and save, or type the value"),
    "digits-lost": _cell("`{value}` 的数字已丢失", "`{value}` has lost digits",
                         "把该列设为文本格式，再按原件重新填写（长号码存成数字时，第 15 位以后会变成 0）",
                         "format the column as text and type the value again (numbers keep only 15 digits)"),
    "scaled-format": _cell("`{value}` 的显示格式会缩小数字", "the format of `{value}` divides what it shows",
                           "把单元格改成常规格式，核对数值和单位", "use the General format and check value and unit"),
    "shown-as-date": _cell("`{value}` 是日期或时间格式", "`{value}` is formatted as a date or time",
                           "把单元格改成数值格式，重新填写", "format the cell as a number and type it again"),
    "shown-as-percent": _cell("`{value}` 的单元格是百分比格式", "the cell of `{value}` is formatted as a percentage",
                              "把单元格改成数值格式，核对数值", "format the cell as a number and check it"),
    "unit-twice": _cell("{reason_zh}", "{reason_en}", "只写一处单位", "give the unit in one place only"),
    "out-of-bounds": _cell("{reason_zh}", "{reason_en}", "核对数值和单位", "check the value and its unit"),
}  # fmt: skip

HEADINGS = {
    "unrecognised-column": Wording(
        "列“{heading}”没有对应的栏目，未读取", "the column `{heading}` matches no field and is not read",
        "若应读取，改用模板中的栏目名", "if it should be read, use the field's name from the template"),
    "column-names-rows": Wording(
        "列“{heading}”没有对应的栏目，只用作各行的名称",
        "the column `{heading}` matches no field, it only names the rows",
        "若应读取，改用模板中的栏目名", "if it should be read, use the field's name from the template"),
    "duplicate-column": Wording(
        "“{heading}”与“{first}”（{first_at}）都是 {label}",
        "`{heading}` and `{first}` ({first_at}) are both {label_en}",
        "只留一列", "keep one of them"),
    "unit-does-not-fit": Wording(
        "“{heading}”的单位 {unit} 不适用于 {label}（{type_zh}）",
        "the unit {unit} of `{heading}` does not fit {label_en} ({type_en})", "改正表头的单位", "correct the unit"),
    "unit-assumed": Wording(
        "“{heading}”没有写单位，按 {unit} 读取", "`{heading}` states no unit and is read in {unit}",
        "在表头写明单位，如 (万元)", "state the unit in the heading, as in (万元)"),
    "sheet-units-conflict": Wording(
        "表上方写了几个金额单位：{units}", "the lines above the table state several money units: {units}",
        "在各列表头写明单位", "state the unit in each heading"),
    "key-column-missing": Wording(
        "{record} 缺少“{label}”列，无法知道各行属于谁",
        "{record} lacks the column {label_en}, which tells whose row it is",
        "补上这一列", "add this column"),
    "table-ambiguous": Wording(
        "这张表可能是：{candidates}", "this table may be any of: {candidates}",
        "把工作表名改成记录名，或用 --record 指明", "name the sheet after the record, or say which with --record"),
    "sheet-unrecognised": Wording(
        "认不出这是什么表，{count} 行未读取；最接近的是 {record}",
        "this is no table we know, {count} rows are not read; the closest is {record}",
        "对照模板检查表头", "compare the headings with the template"),
    "no-such-record": Wording(
        "没有名为 `{name}` 的记录或条款", "there is no record or provision `{name}`", "可用的：{known}",
        "there are: {known}"),
    "no-rows": Wording(
        "{record}：只有表头，没有数据", "{record}: headings only, no rows", "确认是否漏填",
        "check that nothing was left out"),
}  # fmt: skip

ROWS = {
    "ragged-row": Wording(
        "这一行有 {found} 个单元格，表头有 {expected} 个", "this row has {found} cells, the heading has {expected}",
        "检查分隔符和引号；含分隔符的内容要加引号", "check delimiters and quotes; quote text that holds the delimiter"),
    "key-missing": Wording(
        "{record}：“{label}”为空，不知道这一行属于谁",
        "{record}: `{label}` is blank, so nobody knows whose row this is",
        "填上，或删去这一行", "fill it in, or delete the row"),
    "column-without-heading": Wording(
        "{letter} 列没有表头，但有 {count} 个单元格有内容，未读取",
        "column {letter} has no heading but {count} cells with content, which are not read",
        "补上表头，或清空该列", "give it a heading, or clear it"),
    "rows-above-heading": Wording(
        "表头上方有 {count} 行像是数据，未读取", "{count} rows above the heading look like data and are not read",
        "一张工作表只放一张表", "keep one table in a sheet"),
    "merged-key-filled": Wording(
        "“{label}”有合并单元格，{count} 行按合并的值补齐",
        "`{label}` has merged cells; {count} rows take the merged value",
        "最好取消合并，逐行填写", "better to unmerge and fill each row"),
    "merged-cells": Wording(
        "“{label}”有合并单元格，值只属于左上角，其余 {count} 格按空白处理",
        "`{label}` has merged cells: the value belongs to the top left, the other {count} count as blank",
        "取消合并，逐行填写", "unmerge and fill each row"),
    "hidden-rows": Wording(
        "有 {count} 个隐藏行也被读取（第 {rows} 行）", "{count} hidden rows are read as well (rows {rows})",
        "不该计入的请删除，而不是隐藏", "delete rows that should not count instead of hiding them"),
    "hidden-column": Wording(
        "隐藏的列“{label}”也被读取", "the hidden column `{label}` is read as well",
        "不该计入的请删除", "delete it if it should not count"),
    "hidden-sheet": Wording(
        "隐藏的工作表也被读取", "the hidden sheet is read as well", "不该计入的请删除",
        "delete it if it should not count"),
    "broken-quotes": Wording(
        "引号有误，这一行读不出来：{reason}", "the quotes are wrong, so this row cannot be read: {reason}",
        "内容中的引号要写两个（\"\"）", "double a quote inside quoted text"),
    "unclosed-quote": Wording(
        "从这一行起引号没有收尾，其后各行都读不出来（{reason}）",
        "a quote is left open from this line on, so the rows below cannot be read ({reason})",
        "补上或去掉这个引号", "close the quote or remove it"),
}  # fmt: skip

FILES = {
    "is-folder": Wording(
        "{path} 是文件夹", "{path} is a folder",
        "列出其中的文件；整个文件夹用 hegui batch 文件夹 -o 结果文件夹",
        "name its files; a whole folder goes with hegui batch FOLDER -o FOLDER"),
    "file-empty": Wording("文件是空的", "the file is empty", "确认保存是否完整", "check that it was saved completely"),
    "file-too-large": Wording(
        "文件有 {size} 字节，最多读 {limit}", "the file has {size} bytes, at most {limit} are read", "分成几个文件",
        "split it"),
    "file-encrypted": Wording(
        "文件有密码保护，读不了", "the file is protected by a password", "去掉密码后另存",
        "save it without a password"),
    "not-a-workbook": Wording(
        "扩展名是工作簿，内容却是{found_zh}", "the name says workbook, the content is {found_en}",
        "用 Excel 或 WPS 打开后另存为 .xlsx；文本表格用 .csv",
        "open it in Excel or WPS and save it as .xlsx; use .csv for text"),
    "wrong-extension": Wording(
        "扩展名 {suffix} 与内容不符，按 {kind} 读取", "the extension {suffix} does not fit the content, read as {kind}",
        "改成正确的扩展名", "correct the extension"),
    "unknown-file-kind": Wording(
        "不认识扩展名 {suffix}", "the extension {suffix} is not known", "认识的：{known}", "known: {known}"),
    "broken-utf8": Wording(
        "UTF-8 文件在这一行的第 {offset} 字节损坏", "the file is UTF-8 but damaged at byte {offset} of this line",
        "重新导出，另存为 CSV UTF-8", "export it again as CSV UTF-8"),
    "unknown-encoding": Wording(
        "编码既不是 UTF-8，也不是 GB18030（第 {offset} 字节）",
        "the encoding is neither UTF-8 nor GB18030 (byte {offset})",
        "另存为 UTF-8", "save it as UTF-8"),
    "nul-bytes": Wording(
        "文件里有 {count} 个空字节，不是文本", "the file holds {count} NUL bytes, so it is not text",
        "另存为 CSV UTF-8", "save it as CSV UTF-8"),
    "broken-workbook": Wording(
        "工作簿损坏，读不出来：{reason}", "the workbook is damaged and cannot be read: {reason}",
        "用 Excel 或 WPS 打开后另存", "open it in Excel or WPS and save it again"),
    "workbook-too-large": Wording(
        "解压后有 {size} MB（压缩前 {packed} KB），最多 {limit} MB",
        "it unpacks to {size} MB from {packed} KB, at most {limit} MB are accepted",
        "删去多余内容，或分成几个文件", "remove what is not needed, or split it"),
    "workbook-doctype": Wording(
        "`{part}` 含有 DOCTYPE 或实体定义，不接受", "`{part}` holds a DOCTYPE or entities, which are not accepted",
        "用 Excel 或 WPS 打开后另存", "open it in Excel or WPS and save it again"),
    "sheet-too-large": Wording(
        "工作表跨 {rows} 行 × {columns} 列，最多 {limit} 格",
        "the sheet spans {rows} rows × {columns} columns, at most {limit} cells are read",
        "删去远处零散的内容", "delete stray content far from the table"),
    "old-workbook-format": Wording(
        "旧格式 .xls 看不到百分比格式、错误值、未算出的公式和隐藏行",
        "the old format .xls hides percent formats, error values, uncomputed formulas and hidden rows",
        "另存为 .xlsx 可得到完整检查", "save it as .xlsx for a full check"),
}  # fmt: skip

DOCUMENTS = {
    "json-syntax": Wording("JSON 有误：{reason_zh}", "the JSON is wrong: {reason_en}", "改正后重试", "correct it"),
    "json-too-deep": Wording("嵌套超过 {limit} 层", "nested more than {limit} levels deep"),
    "facts-shape": Wording(
        "{what_zh} 应为{expected_zh}", "{what_en} must be {expected_en}", "写法见 hegui facts schema",
        "`hegui facts schema` shows the form"),
    "unknown-fact-key": Wording(
        "`{key}` 不是{where_zh}的键", "`{key}` is not a key of {where_en}", "可用的键：{known}", "keys: {known}"),
    "unknown-dossier": Wording("没有档案 `{id}`", "there is no dossier `{id}`", "现有：{known}", "there are: {known}"),
    "unknown-record-name": Wording(
        "{dossier} 没有记录 `{name}`", "{dossier} has no record `{name}`", "可用的：{known}", "there are: {known}"),
    "unknown-field": Wording(
        "{record} 没有栏目 `{name}`", "{record} has no field `{name}`", "可用的：{known}", "fields: {known}"),
    "same-fact-twice": Wording(
        "`{key}` 与 `{first}`（{first_at}）是同一栏目", "`{key}` and `{first}` ({first_at}) are the same field",
        "只留一个", "keep one of them"),
    "case-without-subject": Wording(
        "这个案例没有{record}（`{name}`）", "this case has no `{name}`", "补上", "add it"),
    "other-subject": Wording(
        "这一行写的是 `{key}`，案例却是 `{subject}` 的",
        "this row names `{key}` inside the case of `{subject}`",
        "移到它自己的案例，或改正名称", "move it to its own case, or correct the name"),
    "rows-unrecognised": Wording(
        "认不出这 {count} 行是什么（第一个栏目是 `{first}`）",
        "these {count} rows are no record we know (first name `{first}`)",
        "对照模板检查栏目名", "compare the names with the template"),
    "two-as-of": Wording(
        "基准日 {value} 与 {first}（{first_at}）不同", "the assessment date {value} differs from {first} ({first_at})",
        "一次提交只用一个基准日", "use one assessment date in a submission"),
}  # fmt: skip

CASES = {
    "duplicate-subject": Wording(
        "{record} `{key}` 出现两次，前一次在 {first_at}，内容相同，只用前一次",
        "{record_en} `{key}` is given twice, first at {first_at}; both say the same, the first is used",
        "删去一行", "delete one row"),
    "conflicting-subject": Wording(
        "{record} `{key}` 出现两次，与 {first_at} 的内容不同，两行都不用",
        "{record_en} `{key}` is given twice and differs from {first_at}; neither is used",
        "核对后只留一行", "check and keep one row"),
    "subject-again": Wording(
        "{record} `{key}` 还出现在 {first_at}，按两个案例分别处理",
        "{record_en} `{key}` is also at {first_at}; they are assessed as two cases",
        "若是重复，删去一个", "delete one if it is a repetition"),
    "no-such-subject": Wording(
        "没有名为 `{key}` 的{record}，这一行无处归属", "there is no {record_en} `{key}` to which this row belongs",
        "改正名称，或在主表补上", "correct the name, or add it to the main table"),
    "no-subject-table": Wording(
        "没有提交{record}表，这张表的各行无处归属",
        "no {record_en} table was submitted, so these rows belong to nobody",
        "一并提交主表（hegui batch 加 --together）", "submit the main table as well (hegui batch: with --together)"),
    "subject-rejected": Wording(
        "`{key}` 的主表行（{subject_at}）有误，这一行也不能使用",
        "the main row of `{key}` ({subject_at}) has problems, so this row cannot be used either",
        "先改正主表行", "correct the main row first"),
    "case-incomplete": Wording(
        "`{key}` 有 {count} 行关联记录有误（{places}），为免算错，整个案例不计算",
        "`{key}` has {count} related rows with problems ({places}); the case is left out, lest its figures be wrong",
        "改正这些行后再提交", "correct those rows and submit again"),
}  # fmt: skip

BATCHES = {
    "facts-differ": Wording(
        "这些条款对事实 `{name}` 的定义不同，不能放在一张表里", "these provisions define the fact `{name}` differently",
        "分开运行", "run them one at a time"),
    "nothing-to-assess": Wording(
        "没有可评的条款：表中缺少它们的事实", "no provision can be assessed: the table has none of their facts",
        "用 --provision 指明条款", "name the provisions with --provision"),
    "other-day": Wording(
        "文件写的基准日是 {days}，本次按 {as_of} 核算", "the files are as of {days}, this batch is as of {as_of}",
        "用 --as-of 给同一天；各不相同时用 hegui check",
        "give that day with --as-of; where they differ use hegui check"),
    "several-kinds": Wording(
        "这些文件不是同一类：有几种档案或条款", "these files are not of one kind: several dossiers or provisions",
        "分开运行", "run them one at a time"),
    "wide-needs-one-row": Wording(
        "{dossier}的事项有多行，不能一户一行", "the matters of {dossier} have several rows a subject",
        "改用 --shape long", "use --shape long"),
    "finer-than-column": Wording(
        "有的数值比案卷能存的小数位更细（{value}）", "a number is finer than a dossier's columns hold ({value})",
        "减少小数位，或用 hegui check", "use fewer decimals, or hegui check"),
    "one-case-at-a-time": Wording(
        "{dossier}的 {provision} 取自另一类记录的结论，不能按列核算",
        "{provision} of {dossier} takes an outcome of another record",
        "用 hegui check 逐个核算", "use hegui check, which goes case by case"),
    "memory-limit-too-small": Wording(
        "--memory-limit 给的内存不够（{reason}）", "the memory that --memory-limit allows does not do ({reason})",
        "放宽 --memory-limit", "allow more with --memory-limit"),
    "no-inputs": Wording(
        "{paths} 里没有可读的文件", "there is no file to read in {paths}", "认识的：{known}", "known: {known}"),
    "folder-wanted": Wording(
        "各输入的结果分开写，-o 要的是文件夹，{path} 是文件",
        "the results of several inputs go to a folder, {path} is a file",
        "写 -o 结果文件夹；合并核算相关的表用 --together", "say -o FOLDER, or --together for related tables"),
    "outputs-coincide": Wording(
        "结果、问题清单和批注后的副本要写到不同的文件（{path}）",
        "results, problems and marked copies cannot share a file ({path})",
        "换一个文件名", "use another name"),
}  # fmt: skip

WORDINGS = {**CELLS, **HEADINGS, **ROWS, **FILES, **DOCUMENTS, **CASES, **BATCHES}
register(WORDINGS)
