"""Opens reports in a browser without a window and uses them as a person would. Usage: check_report.py run|front|corrected|sweep|opens REPORT [FILE.h5]"""

import sys

import h5py
import numpy

from browser import Browser

CARD = "document.getElementById('card').innerText"
MAP = "document.querySelector('canvas[role=application]')"


def box(browser, of):
    return browser.run(f"(() => {{ const c = {of}; c.scrollIntoView({{block: 'center'}}); const b = c.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()")


def place(browser, axes, descriptor):
    """Where a descriptor lies on the screen, on the first map."""
    left, top, _, _ = box(browser, MAP)
    plot = browser.run("archiveViews()[0].box")
    share = [(d - lower) / (upper - lower) for d, (lower, upper) in zip(descriptor, axes)]
    y = plot["height"] / 2 if len(share) == 1 else (1 - share[1]) * plot["height"]
    return left + plot["left"] + share[0] * plot["width"], top + plot["top"] + min(max(y, 1), plot["height"] - 1)


def inner(elites, axes, shape):
    """A poor elite that a pixel cannot miss: in the middle of its box, or the one that is farthest from all others."""
    share = numpy.array([[(d - lo) / (hi - lo) for d, (lo, hi) in zip(row, axes)] for row in elites["descriptor"]])
    within = numpy.all((share > 0.02) & (share < 0.98), axis=1)
    if shape is not None:
        off = numpy.abs((share * shape) % 1 - 0.5).max(axis=1)
        return int(numpy.argmin(numpy.where(within & (off < 0.25), elites["fitness"], numpy.inf)))
    apart = [min([float(((a - b) ** 2).sum()) for j, b in enumerate(share) if j != i] or [1]) if within[i] else -1 for i, a in enumerate(share)]
    return int(numpy.argmax(apart))


def shown(x):
    """A number as the page writes it."""
    text = f"{float(f'{x:.5g}'):,.8f}".rstrip("0").rstrip(".")
    return text.replace("-0", "0") if text == "-0" else text


def check_run(browser, archive):
    with h5py.File(archive) as f:
        elites = {name: f["elites"][name][:] for name in ["cell", "fitness", "descriptor", "generation"]}
        axes = list(zip(f["cells"].attrs["lower"], f["cells"].attrs["upper"]))
        shape = f["cells"].attrs.get("shape")
        genomes = f["elites/genome"][:] if "genome" in f["elites"] else None
    fitness, cells = elites["fitness"], elites["cell"]
    best = int(numpy.argmax(fitness))

    # The best is chosen at the start, with the numbers that the archive has.
    card = browser.run(CARD)
    assert f"Cell {cells[best]}" in card and shown(fitness[best]) in card, (card, fitness[best])

    if len(axes) <= 2:
        # Clicking where another elite lies opens it.
        other = inner(elites, axes, shape)
        x, y = place(browser, axes, elites["descriptor"][other])
        browser.mouse(x, y)
        tip = browser.run("document.getElementById('tip').innerText")
        assert f"cell {cells[other]}" in tip and shown(fitness[other]) in tip, (tip, cells[other], fitness[other])
        browser.mouse(x, y, click=True)
        card = browser.run(CARD)
        assert f"Cell {cells[other]}" in card and shown(fitness[other]) in card, (card, cells[other])
        for value in elites["descriptor"][other]:
            assert shown(value) in card, (card, value)

    # By keyboard: to the best, away from it and back.
    browser.run(f"{MAP}.focus()")
    browser.key("b")
    assert f"Cell {cells[best]}" in browser.run(CARD)
    names = {f"Cell {cells[best]}"}
    for key in ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]:
        browser.key(key)
        names.add(browser.run("document.querySelector('#card h3').innerText"))
    assert len(names) > 1 or len(fitness) == 1, names
    browser.key("Enter")
    assert browser.run("document.activeElement.id") == "card"

    # Another column colours the map.
    pixels = f"(() => {{ const c = {MAP}; return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).reduce((s, v, i) => (s * 31 + v) | 0, 7); }})()"
    before = browser.run(pixels)
    browser.run("(() => { const s = document.querySelector('#archive ~ .archive select'); s.value = 'generation'; s.dispatchEvent(new Event('change')); })()")
    browser.settle()
    assert browser.run(pixels) != before or numpy.unique(elites["generation"]).size == 1

    # The table finds the lowest fitness, and its genes can be read.
    browser.run("document.querySelectorAll('#archive ~ .archive details').forEach(d => { d.open = true; })")
    browser.run("[...document.querySelectorAll('th button')].find(b => b.innerText.startsWith('fitness')).click()")
    browser.run("document.querySelector('tbody tr.pick').click()")
    worst = fitness.min()
    assert shown(worst) in browser.run(CARD), (browser.run(CARD), worst)
    chosen = int(browser.run("document.querySelector('#card h3').innerText").split()[1])
    if genomes is not None and browser.run("data.archive.genes !== null"):
        genes = browser.run("(() => { const a = archiveViews()[0].archive; return Array.from(a.genes.data.subarray(a.chosen * a.genes.dim, (a.chosen + 1) * a.genes.dim)); })()")
        assert numpy.array_equal(numpy.float32(genes), genomes[list(cells).index(chosen)])
    assert f"--elite {chosen}" in browser.run(CARD)

    # Curves can be hovered, and drawn against another axis.
    left, top, width, height = box(browser, "document.querySelector('.charts canvas')")
    browser.mouse(left + width * 0.6, top + height * 0.4)
    assert browser.run("document.getElementById('tip').innerText").count("\n") == 1


def check_front(browser, archive):
    """The end of the front with the highest first objective is where the axes say, and has the numbers of the archive."""
    with h5py.File(archive) as f:
        table = f["active"] if "active" in f else f["elites"]
        objectives = table["objectives"][:]
    best = objectives[numpy.lexsort((-objectives[:, 1], -objectives[:, 0]))[0]]
    front = browser.run("(() => { const p = decode(data.front.points), n = p.length / 2; return Array.from({length: n}, (_, i) => [p[2 * i], p[2 * i + 1]]); })()")
    dominated = [any((o >= p).all() and (o > p).any() for o in objectives) for p in numpy.array(front)]
    assert best.tolist() in front and not any(dominated), (best, len(front))
    assert f"{len(front)} elites that no other dominates" in browser.run("document.querySelector('.front figcaption').innerText")
    # Axes are 8 % longer than the front at both ends.
    left, top, width, height = box(browser, "document.querySelector('.front canvas')")
    if len(front) > 1:
        browser.mouse(left + 64 + 1.08 / 1.16 * (width - 74), top + 8 + 1.08 / 1.16 * (height - 52))
        tip = browser.run("document.getElementById('tip').innerText")
        assert all(shown(value) in tip for value in best), (tip, best)


def check_corrected(browser, evaluation):
    """Two maps side by side, the second of which has each elite where the fresh episodes put it."""
    with h5py.File(evaluation) as f:
        corrected, mean = f["elites/corrected_cell"][:], f["elites/expected_fitness"][:]
        total = f.attrs["corrected_qd_score"]
        offset = f.attrs["qd_offset"]
    views = browser.run("archiveViews().length")
    assert views == 2, views
    sums = browser.run("(() => { const v = archiveViews()[1], m = v.archive.named('expected_fitness').values; return [...v.tiles().values()].reduce((s, i) => s + m[i], 0); })()")
    cells = len({c for c in corrected if c >= 0})
    assert abs(sums + offset * cells - total) < 1e-6 * max(1, abs(total)), (sums, total)


def check_sweep(browser):
    browser.run("document.querySelector('#configurations ~ .wide tbody button').click()")
    link = browser.run("document.querySelector('#configurations ~ .wide a')?.href ?? null")
    assert link and link.endswith("/report.html"), link
    csv = browser.run("decodeURIComponent(document.querySelector('a[download]').href.split(',').slice(1).join(','))")
    assert csv.startswith("id,configuration,"), csv[:80]
    assert browser.run("document.querySelectorAll('#parameters ~ .charts figure').length") == 2
    browser.call("Page.navigate", url=link)
    while not browser.run("document.readyState === 'complete' && !!document.querySelector('#card')"):
        pass


def main():
    kind, report, *rest = sys.argv[1:]
    browser = Browser()
    try:
        for theme, phone in [("light", False), ("dark", True), ("light", False)]:
            browser.size(390 if phone else 1280, 844 if phone else 900, phone)
            browser.scheme(theme)
            seconds = browser.open(report)
            assert browser.run("document.documentElement.scrollWidth <= innerWidth"), "it is wider than the screen"
            assert browser.run("document.querySelectorAll('h1').length") == 1
        complaints = browser.complaints()
        assert not complaints, complaints
        {"run": check_run, "front": check_front, "corrected": check_corrected, "sweep": check_sweep, "opens": lambda *_: None}[kind](browser, *rest)
        before = browser.run("getComputedStyle(document.body).backgroundColor")
        browser.run("document.getElementById('theme').click()")
        assert browser.run("getComputedStyle(document.body).backgroundColor") != before
        complaints = browser.complaints()
        assert not complaints, complaints
        print(f"checked {kind} in {seconds:.2f} s")
    finally:
        browser.close()


main()
