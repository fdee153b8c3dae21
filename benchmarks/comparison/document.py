"""What the comparison prints and writes: the table, the plot, the document."""

import html
import math
import re
import textwrap

VERDICT_MARKS = {"aim": "reaches the aim", "pass": "pass", "short": "**short**", "not measured": "not measured"}


def number(value, unit):
    """Three digits, and the unit after them but for the times sign's space."""
    if value is None:
        return "-"
    digits = 0 if value == 0 or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def bound(check, value):
    if value is None:
        return ""
    return ("<= " if check.at_most else ">= ") + f"{value:,g} {check.unit}"


def line(check):
    """A row for the terminal."""
    text = f"{check.what:<76} must {bound(check, check.must):<14} aim {bound(check, check.aim):<14} "
    text += f"measured {number(check.measured, check.unit):<16} {check.verdict}"
    return text + (f" ({check.note})" if check.note else "")


def summary(checks):
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in VERDICT_MARKS}
    text = f"{counts['pass'] + counts['aim']} of {len(checks)} pass, {counts['aim']} of them reach the aim"
    for verdict in ("short", "not measured"):
        if counts[verdict]:
            text += f"; {counts[verdict]} {verdict}"
    return text


def bar(check):
    """How far above the bound, in doublings; below it is negative."""
    limit = check.aim if check.must is None else check.must
    if check.measured is None or limit == 0:
        return None
    measured = max(check.measured, limit / 1024)
    doublings = math.log2(measured / limit)
    return max(-4.0, min(6.0, -doublings if check.at_most else doublings))


def plot(checks):
    """An SVG with a bar for each check, from where it must be to where it is."""
    shown = [(check, bar(check)) for check in checks]
    shown = [(check, length) for check, length in shown if length is not None]
    left, unit, height, top = 620, 60, 20, 60
    middle = left + 4 * unit
    width, bottom = middle + 6 * unit + 110, top + height * len(shown) + 10
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{bottom}" fill="white"/>',
             '<text x="10" y="20" font-size="15">Measured against what each figure must be (line at 1; '
             'right is better)</text>']
    for doublings in range(-4, 7):
        x = middle + doublings * unit
        color = "black" if doublings == 0 else "#dddddd"
        label = f"{2 ** doublings:g}x" if doublings >= 0 else f"1/{2 ** -doublings}"
        parts.append(f'<line x1="{x}" y1="{top - 8}" x2="{x}" y2="{bottom - 6}" stroke="{color}"/>')
        parts.append(f'<text x="{x}" y="{top - 12}" text-anchor="middle" fill="#555555">{label}</text>')
    for index, (check, length) in enumerate(shown):
        y = top + index * height
        begin, end = sorted((middle, middle + length * unit))
        color = "#c0392b" if check.verdict == "short" else "#2e7d32" if check.verdict == "aim" else "#6aa84f"
        parts.append(f'<text x="{left - 10}" y="{y + 13}" text-anchor="end">{html.escape(check.what)}</text>')
        parts.append(f'<rect x="{begin:.1f}" y="{y + 2}" width="{max(end - begin, 1):.1f}" height="{height - 5}" '
                     f'fill="{color}"/>')
        parts.append(f'<text x="{max(end, middle) + 5:.1f}" y="{y + 13}">'
                     f'{html.escape(number(check.measured, check.unit))}</text>')
    return "\n".join(parts + ["</svg>", ""])


def table(checks):
    rows = ["| what | must | aim | measured | |", "|---|---|---|---|---|"]
    for check in checks:
        note = f" ({check.note})" if check.note else ""
        rows.append(f"| {check.what} | {bound(check, check.must)} | {bound(check, check.aim)} | "
                    f"{number(check.measured, check.unit)} | {VERDICT_MARKS[check.verdict]}{note} |")
    return "\n".join(rows).replace("<=", "≤").replace(">=", "≥")


def machine_table(program):
    machine = program.machine
    facts = [("machine", f"{machine['processor']}, {machine['cores']} cores, "
                         f"{machine['l3_bytes'] / 2**20:.0f} MiB L3, {machine['memory_bytes'] / 2**30:.0f} GiB memory"),
             ("system", f"{machine['kernel']}, huge pages: {machine['huge_pages']}"),
             ("files on", machine["file_system"]),
             ("built with", f"{machine['compiler']}, {machine['build_type']}"),
             ("date", machine["date"]),
             ("load before the first run", f"{machine['load']:.2f}"),
             ("the empty loop", f"{machine['empty_get_ns']:.1f} ns a get, {machine['empty_put_ns']:.1f} ns a put, "
                                "not deducted")]
    facts += [(name, about) for name, about in sorted(program.about.items())]
    return "\n".join(["| | |", "|---|---|"] + [f"| {name} | {text} |" for name, text in facts])


def document(checks, program, scale, plot_name):
    """docs/benchmarks.md."""
    # Runs taken in turn differ in nothing but the seed, which is the round.
    commands = "\n".join(dict.fromkeys(re.sub(r"--seed=\d+", "--seed=ROUND", text) for text in program.commands))
    text = textwrap.dedent("""\
        # Benchmarks

        Written by `benchmarks/compare`: do not edit, run it again. `benchmarks/README.md` says what the benchmarks do.

        Keys of 16 bytes, values of 100 bytes unless a row says otherwise, uniform unless it says Zipf, log asynchronous
        unless it says otherwise. Ratios are against engines in the same run, engine after engine, or against Actable
        itself in runs taken in turn; figures are medians of {repeat} rounds, the largest of all where a row says so.

        {summary}.

        {table}

        ![Each figure against what it must be]({plot})

        ## Where

        {machine}

        ## How

        ```
        {commands}
        ```
        """)
    return text.format(repeat=scale.repeat, summary=summary(checks), table=table(checks), plot=plot_name,
                       machine=machine_table(program), commands=commands)
