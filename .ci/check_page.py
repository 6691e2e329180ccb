"""Opens a report.html in headless Chromium and does with it what a visitor would.

python check_page.py REPORT.html [SCREENSHOTS]

Needs the PyPI package selenium and Debian's chromium, chromium-driver and poppler-utils. Prints one line a check and
ends with exit code 1 at the first that fails. SCREENSHOTS is a folder for pictures of the page, light and dark, wide and
narrow.
"""
import base64, contextlib, json, math, pathlib, random, re, shutil, struct, subprocess, sys, tempfile, zlib
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

FLAGS = ("--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --disable-quic --window-size=1200,1000").split()
BOUND = 1_500_000  # bytes of the page

# Strokes in a unit square, as points.
ONE = [[(0.56, 0), (0.50, 0.5), (0.44, 1)]]
ZERO = [[(0.5 + 0.32 * math.sin(t * math.pi / 12), 0.5 - 0.5 * math.cos(t * math.pi / 12)) for t in range(25)]]
FOUR = [[(0.3, 0), (0.2, 0.5), (0.75, 0.5)], [(0.65, 0.1), (0.6, 1)]]
SEVEN = [(0.2, 0.2), (0.4, 0.2), (0.6, 0.2), (0.7, 0.2), (0.65, 0.35), (0.55, 0.6), (0.5, 0.8)]
TWO = [[(0.15, 0.25), (0.25, 0.08), (0.5, 0), (0.75, 0.1), (0.78, 0.3), (0.6, 0.55), (0.35, 0.8), (0.12, 1), (0.5, 0.98),
        (0.85, 1)]]
EIGHT = [[(0.5 + 0.28 * math.sin(t * math.pi / 6), 0.5 - 0.5 * math.cos(t * math.pi / 12)) for t in range(25)]]
# A 5 whose bar is drawn for itself, and touches nothing.
FIVE = [[(0.25, 0.08), (0.22, 0.45), (0.4, 0.38), (0.62, 0.42), (0.75, 0.62), (0.7, 0.85), (0.5, 1), (0.28, 0.98), (0.1, 0.88)],
        [(0.5, 0.02), (0.68, 0.01), (0.85, 0)]]
# What is no digit.
NO_DIGITS = {
    "a hatching": [[(n / 8, n % 2) for n in range(9)]],
    "a grid": [[(x, 0), (x, 1)] for x in (0.3, 0.7)] + [[(0, y), (1, y)] for y in (0.3, 0.7)],
    "a W": [[(0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)]],
    "a T": [[(0, 0), (1, 0)], [(0.5, 0), (0.5, 1)]],
}
# Where on the pad, as left, top, side.
BIG, CORNER, OTHER_CORNER = (0.1, 0.1, 0.8), (0.03, 0.03, 0.2), (0.74, 0.76, 0.2)


def check(what, holds, seen=""):
    print(f"{'ok' if holds else 'FAILED'}: {what}{f' ({seen})' if seen != '' else ''}", flush=True)
    if not holds:
        sys.exit(1)


def main(report, screenshots):
    if not pathlib.Path(report).is_file():
        sys.exit(f"{report} is not there: make run writes runs/latest/report.html")
    with tempfile.TemporaryDirectory() as scratch, browser(scratch) as driver:
        try:
            page = Page(driver, pathlib.Path(report).resolve(), pathlib.Path(scratch))
            check_network(page)
            check_drawing(page)
            check_hands(page)
            check_pictures(page)
            check_photographs(page)
            check_files(page)
            check_doubt(page)
            check_several(page)
            check_sections(page, screenshots and pathlib.Path(screenshots))
            check_test_images(page)
            check_first_layer(page)
            check_names(page)
            check_screens(page)
            check_high_contrast(page)
            check_paper(page)
            check_no_scripts(page)
            check_quiet(page)
            check_large_network(page)
            check_unsure(page)
            check_other_networks(page, screenshots and pathlib.Path(screenshots))
        except WebDriverException as error:
            check("the browser could do the next step", False, error.msg.splitlines()[0])


@contextlib.contextmanager
def browser(scratch):
    """Headless Chromium, which keeps what it writes in the folder `scratch`."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in [*FLAGS, f"--user-data-dir={scratch}/profile"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if not (options.binary_location and shutil.which("chromedriver")):
        sys.exit("this needs Debian's packages chromium and chromium-driver")
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    def __init__(self, driver, file, scratch):
        self.driver, self.file, self.scratch = driver, file, scratch
        driver.get("about:blank")
        driver.get_log("performance")  # what the browser's own first page asked for
        driver.get(file.as_uri())
        self.data = self.run("return {...data, weights: null}")
        self.size = self.data["rows"] * self.data["columns"]
        sample_bytes = base64.b64decode(self.data["samples"]["pixels"])
        self.samples = [sample_bytes[i:i + self.size] for i in range(0, len(sample_bytes), self.size)]
        self.pad = driver.find_element(By.ID, "pad")

    def with_data(self, name, **changes):
        """The same page with other members of its data."""
        before, rest = self.file.read_text().split('id="data">', 1)
        data, after = rest.split("</script>", 1)
        file = self.scratch / f"{name}.html"
        file.write_text(f'{before}id="data">{json.dumps({**json.loads(data), **changes})}</script>{after}')
        return Page(self.driver, file, self.scratch)

    def difference(self):
        """How much the page differs from the training program; None where it can't read the network."""
        return self.driver.execute_async_script("Promise.resolve(window.mnist?.compared).then(arguments[0])")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self):
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def click(self, button):
        self.driver.find_element(By.ID, button).click()
        self.wait()

    def keys(self, *modifiers, key):
        chain = ActionChains(self.driver)
        for modifier in modifiers:
            chain.key_down(modifier)
        chain.send_keys(key)
        for modifier in modifiers:
            chain.key_up(modifier)
        chain.perform()
        self.wait()

    def text(self, element):
        return self.run("return document.getElementById(arguments[0]).textContent", element)

    def stroke(self, points, place, pointer="mouse"):
        """Sends one stroke as the browser's own pointer events."""
        side = self.pad.rect["width"]
        left, top, scale = place
        to = [(round(side * (left + x * scale - 0.5)), round(side * (top + y * scale - 0.5))) for x, y in points]
        builder = ActionBuilder(self.driver, mouse=PointerInput(pointer, pointer), duration=15)
        action = builder.pointer_action
        action.move_to(self.pad, *to[0]).pointer_down()
        for point in to[1:]:
            action.move_to(self.pad, *point)
        action.pointer_up()
        builder.perform()
        self.wait()

    def touch(self, kind, **fingers):
        """Sends the fingers that go down (touchStart), move (touchMove) or are lifted (touchEnd), each at its point of the
        pad, which is a unit square."""
        side = self.pad.rect["width"]
        left, top = self.run("const { left, top } = pad.getBoundingClientRect(); return [left, top]")
        points = [{"x": left + side * x, "y": top + side * y, "id": ord(name)} for name, (x, y) in fingers.items()]
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def draw(self, strokes, place, pointer="mouse"):
        self.click("clear")
        for points in strokes:
            self.stroke(points, place, pointer)
        return self.answer()

    def answer(self):
        """The class, its probability and the pixels seen, all None where there is no answer."""
        pixels, probabilities = self.run("const { pixels, probabilities } = mnist.answer;"
                                         "return [pixels && [...pixels], probabilities]")
        shown = self.text("reading")
        if probabilities is None:
            return f"still {shown}" if shown else None, None, pixels
        best = probabilities.index(max(probabilities))
        return best if shown.startswith(str(best)) else f"{best}, shown as {shown}", probabilities[best], pixels

    def open(self, content, name="picture.png", way="file"):
        """Gives a file to the page: by its file button, dropped or pasted."""
        if way == "file":
            path = self.scratch / name
            path.write_bytes(content)
            self.driver.find_element(By.ID, "file").send_keys(str(path))
        else:
            self.run("""const [content, name, way] = arguments, transfer = new DataTransfer();
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const type = { png: "image/png", svg: "image/svg+xml", txt: "text/plain" }[name.split(".")[1]] ?? "";
                transfer.items.add(new File([bytes], name, { type }));
                document.body.dispatchEvent(way === "drop"
                    ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
                    : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));""",
                     base64.b64encode(content).decode(), name, way)
        # On a busy machine reading may take its time.
        self.driver.execute_async_script("""const [done] = arguments;
            const look = () => document.getElementById("message").textContent.startsWith("Reading")
                ? setTimeout(look, 50) : requestAnimationFrame(() => requestAnimationFrame(done));
            setTimeout(look, 300);""")
        return self.answer()


def check_network(page):
    size = page.file.stat().st_size
    check(f"the page is under {BOUND:,} bytes", size < BOUND, f"{size:,}")
    expected = page.data["samples"]["probabilities"]
    check("at least 200 test images are embedded", min(len(expected), len(page.samples)) >= 200, len(page.samples))
    difference = page.difference()
    check("the page's probabilities for them are the program's within 1e-4", difference <= 1e-4, f"{difference:.1e}")
    check("there is no alarm at the top", page.text("alarm") == "", page.text("alarm"))


def check_drawing(page):
    check("an untouched pad has no answer", page.answer()[0] is None, page.answer()[0] or "")
    for name, strokes, truth in (("1", ONE, 1), ("0", ZERO, 0), ("4", FOUR, 4)):
        for where, place in (("big", BIG), ("small in a corner", CORNER), ("small in another", OTHER_CORNER)):
            best, probability, _ = page.draw(strokes, place)
            check(f"a {name} drawn {where} is read", best == truth, f"as {best}, {probability}")
    for pointer in ("touch", "pen"):
        best, probability, _ = page.draw(ZERO, BIG, pointer)
        check(f"a 0 drawn by {pointer} is read", best == 0, f"as {best}, {probability}")

    middle = page.draw(FOUR, (0.3, 0.3, 0.4))[2]
    for where, place in (("off centre", (0.04, 0.55, 0.4)), ("half as big", (0.7, 0.1, 0.2)), ("twice as big", BIG)):
        difference = apart(middle, page.draw(FOUR, place)[2])
        check(f"a 4 drawn {where} is seen as in the middle", difference < 5, f"{difference:.2f} of 255 a pixel apart")

    page.click("clear")
    check("clear empties the answer", page.answer()[0] is None and sum_of_seen(page) == 0, page.answer()[0] or "")
    page.stroke(FOUR[0], BIG)
    one_stroke = page.answer()[2]
    page.stroke(FOUR[1], BIG)
    check("a second stroke changes what is seen", page.answer()[2] != one_stroke)
    two_strokes = page.answer()[2]
    page.click("undo")
    check("undo takes it back", page.answer()[2] == one_stroke)
    for way, redo in (("the button", lambda: page.click("redo")),
                      ("Ctrl-Shift-Z", lambda: page.keys(Keys.CONTROL, Keys.SHIFT, key="z")),
                      ("Ctrl-Y", lambda: page.keys(Keys.CONTROL, key="y"))):
        redo()
        check(f"{way} brings it again", page.answer()[2] == two_strokes)
        page.keys(Keys.CONTROL, key="z")
        check("and Ctrl-Z takes it back", page.answer()[2] == one_stroke)
    page.click("undo")
    check("a second undo empties the answer", page.answer()[0] is None, page.answer()[0] or "")
    page.click("undo")
    check("a third brings back what was cleared", page.answer()[0] is not None)
    page.driver.find_element(By.ID, "clear").send_keys(Keys.ENTER)
    page.wait()
    check("clear works from the keyboard", page.answer()[0] is None, page.answer()[0] or "")
    page.stroke([(0.5, 0.5), (0.51, 0.5)], BIG)
    said = page.text("message")
    check("a dot has no answer and gets a message", page.answer()[0] is None and "too small" in said, said)
    page.click("clear")


def check_hands(page):
    page.touch("touchStart", a=SEVEN[0])
    for point in SEVEN[1:4]:
        page.touch("touchMove", a=point)
    page.touch("touchStart", a=SEVEN[3], b=(0.9, 0.9))
    page.touch("touchEnd", b=(0.9, 0.9))
    for point in SEVEN[4:]:
        page.touch("touchMove", a=point)
    page.touch("touchEnd", a=SEVEN[-1])
    page.wait()
    best, probability, _ = page.answer()
    check("a 7 that is drawn while a second finger taps is read", best == 7, f"as {best}, {probability}")
    page.click("clear")
    page.stroke([(0.3, 0.2), (0.8, 0.2), (1.3, 0.2), (1.3, 0.8), (0.8, 0.8), (0.3, 0.8)], (0, 0, 1))
    strokes = page.run("return current().strokes")
    within = all(0 <= at <= 800 for points in strokes for point in points for at in point)
    check("what leaves the pad and comes back is two lines that end at its edge", len(strokes) == 2 and within, strokes)
    page.click("clear")


def check_pictures(page):
    rows, columns = page.data["rows"], page.data["columns"]
    # One with wide strokes, since thin ones of a photograph are made wider.
    width = lambda pixels: page.run("return strokeWidth(Uint8Array.from(arguments[0]), columns)", list(pixels))
    sample = next(pixels for pixels in page.samples if width(pixels) > 2.6)
    line = lambda pixels, y: pixels[y * columns:(y + 1) * columns]
    light = [line(sample, y) for y in range(rows)]
    dark = [bytes(255 - p for p in row) for row in light]
    paper = [bytes(round(230 - 0.7 * p) for p in row for _ in range(9)) for row in light for _ in range(9)]
    paper = [bytes([230] * 300) + row for row in paper] + [bytes([230] * (300 + 9 * columns))] * 200
    # Black and white dots only, as many of them white as the grey level says.
    halftone = [bytes(255 if 81 * p > 255 * ((9 * x + y) * 32 % 81) else 0 for p in row for x in range(9))
                for row in light for y in range(9)]
    # A photograph: the paper with the light falling off to one side, and grain.
    photo = [bytes(max(0, p - x // 8 - y // 16 - (x * 7919 + y * 104729) % 30) for x, p in enumerate(row))
             for y, row in enumerate(paper)]
    # The same paper on a dark table, with 100 pixels of it on each side.
    side = bytes([40] * 100)
    table = [bytes([40, 50, 45, 52] * (len(photo[0]) // 4 + 50))] * 100
    table = table + [side + row + side + bytes(len(table[0]) - len(row) - 200) for row in photo] + table
    clear = [b"".join(bytes([0, 0, 0, p]) for p in row) for row in light]
    expected = page.run("return mnist.predict(Uint8Array.from(arguments[0]))", list(sample))
    truth = expected.index(max(expected))

    _, _, first = page.open(png(light))
    difference = apart(first, sample)
    check("a test image opened as a picture is seen as it is", difference < 1, f"{difference:.2f} of 255 a pixel apart")
    for what, picture, way, limit in (
            ("dark on light", dark, "file", 1), ("dropped", light, "drop", 1), ("pasted", dark, "paste", 1),
            ("dark on transparent", clear, "file", 1), ("large, grey and off centre", paper, "file", 5),
            ("in halftone", halftone, "file", 5), ("photographed in uneven light", photo, "drop", 12),
            ("on a dark table", table, "drop", 12)):
        page.click("clear")
        best, _, seen = page.open(png(picture, 4 if picture is clear else 1), way=way)
        check(f"the same {what} is seen alike", best == truth and apart(seen, sample) < limit,
              f"read as {best}, {apart(seen, sample):.2f} of 255 a pixel apart")
    thin = page.run("""const context = newContext(400, 400);
        inkStrokes(context, arguments[0].map((points) => points.map(([x, y]) => [100 + 200 * x, 100 + 200 * y])), 3);
        return context.canvas.toDataURL().split(",")[1];""", ZERO)
    page.click("clear")
    best, _, seen = page.open(base64.b64decode(thin))
    check("thin strokes are made wider", best == 0 and width(seen) > 2.3, f"read as {best}, {width(seen):.2f} wide")
    page.click("undo")
    check("undo takes a picture back", page.answer()[0] is None, page.answer()[0] or "")
    for what, content, name, way, message in (
            ("a plain picture", png([b"Z" * 40] * 40), "plain.png", "file", "There is nothing on that picture."),
            ("a file that is no picture", b"text", "text.txt", "drop", "That is not a picture."),
            ("a broken picture", png(light)[:60], "broken.png", "file", "That picture can't be read."),
            ("a HEIC picture", b"....ftypheic", "photo.heic", "file", "This browser can't read HEI"),
            ("a TIFF picture", b"II*\0", "scan.tif", "drop", "This browser can't read TIF pictures."),
            ("a picture of 2 × 2 pixels", png([b"\xff\0", b"\xff\xff"]), "tiny.png", "file", "too small"),
            ("a file of another network", b"", "model.safetensors", "drop", "This page has its network already.")):
        best, shown = page.open(content, name, way)[0], page.text("message")
        check(f"{what} has no answer and gets a message", best is None and message in shown, best or shown)
    page.draw(ZERO, BIG)
    check("the message goes with the next stroke", page.text("message") == "", page.text("message"))


def check_photographs(page):
    """Pictures made in the page, with what strangers' pictures have that clean ones do not."""
    bar, loop = [(0.1, 0), (0.9, 0), (0.45, 1)], lambda x, y, rx, ry: [
        (x + rx * math.sin(t * math.pi / 12), y - ry * math.cos(t * math.pi / 12)) for t in range(25)]
    eight = [loop(0.5, 0.25, 0.28, 0.25), loop(0.5, 0.75, 0.34, 0.25)]
    # Draws strokes (in a unit square; left, top, side and pen in pixels) on paper of a grey level; `more` does the rest.
    make = """const [width, height, paper, ink, [left, top, side, pen], strokes, more] = arguments;
        const context = newContext(width, height);
        const all = (grey) => Object.assign(context, { fillStyle: `rgb(${grey},${grey},${grey})` }).fillRect(0, 0, width, height);
        all(paper);
        const rectangle = (grey, ...box) => Object.assign(context, { fillStyle: `rgb(${grey},${grey},${grey})` }).fillRect(...box);
        const noise = (grain, inset = 0) => {
          const image = context.getImageData(0, 0, width, height);
          let seed = 1;
          image.data.forEach((value, i) => {
            const [x, y] = [(i >> 2) % width, Math.floor((i >> 2) / width)];
            if (i % 4 === 0) seed = (seed * 1103515245 + 12345) % 2147483648;
            const near = Math.min(x, y, width - 1 - x, height - 1 - y);
            if (i % 4 < 3 && near >= inset) image.data[i] = value + grain * (seed / 1073741824 - 1);
          });
          context.putImageData(image, 0, 0);
        };
        const draw = () => {
          const over = newContext(width, height);
          inkStrokes(over, strokes.map((points) => points.map(([x, y]) => [left + x * side, top + y * side])), pen);
          over.globalCompositeOperation = "source-in";
          Object.assign(over, { fillStyle: `rgb(${ink},${ink},${ink})` }).fillRect(0, 0, width, height);
          context.drawImage(over.canvas, 0, 0);
        };
        eval(more);
        return context.canvas.toDataURL().split(",")[1];"""
    buttons = "".join(f"rectangle(90, {x}, 480, 90, 40); rectangle(230, {x + 20}, 495, 50, 10);" for x in (50, 160, 270))
    lines = "for (let y = 60; y < height; y += 120) rectangle(150, 0, y, width, 3);"
    for what, truth, arguments in (
            ("a 7 that runs out of the picture, beside a speck", 7,
             (100, 100, 255, 20, (25, 20, 60, 4), [[(0, 0), (1, 0), (0.5, 1.6)]], "draw(); rectangle(120, 85, 70, 6, 6)")),
            ("the same in 600 pixels, beside a large speck", 7,
             (600, 600, 255, 20, (150, 120, 360, 24), [[(0, 0), (1, 0), (0.5, 1.6)]], "draw(); rectangle(120, 510, 420, 36, 36)")),
            ("a grainy 8 with a pen of 40 pixels", 8, (200, 300, 190, 40, (5, 55, 190, 40), eight, "draw(); noise(20)")),
            ("a 7 in faint pencil on grainy paper with a smooth margin", 7,
             (400, 400, 255, 150, (120, 100, 200, 12), [bar], "rectangle(228, 20, 20, 360, 360); draw(); noise(14, 24)")),
            ("a thin 7 whose bar lies on a ruled line", 7,
             (1200, 900, 225, 50, (500, 301, 220, 5), [bar], lines + "draw()")),
            ("a 4 above a row of buttons", 4, (400, 560, 255, 0, (110, 100, 200, 20), FOUR, "draw();" + buttons)),
            ("a 4 in a drawing area above them", 4,
             (400, 560, 235, 255, (110, 100, 200, 20), FOUR, "rectangle(0, 60, 40, 300, 320); draw();" + buttons))):
        page.click("clear")
        best, probability, _ = page.open(base64.b64decode(page.run(make, *arguments)))
        check(f"{what} is read", best == truth, f"as {best}, {probability}")


ZERO_SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">
    <ellipse cx="12" cy="12" rx="6" ry="9" fill="none" stroke="black" stroke-width="3"/></svg>"""


def check_files(page):
    for name in ("zero.svg", "zero"):  # the second has no MIME type
        page.click("clear")
        best = page.open(ZERO_SVG, name, "drop")[0]
        check(f"an SVG picture is read from the file {name}", best == 0, f"{best} {page.text('message')}")
    page.click("clear")
    page.run("""const transfer = new DataTransfer();
        transfer.setData("text/plain", "7");
        document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));""")
    check("pasted text gets a message", "is text" in page.text("message"), page.text("message"))
    folder = page.scratch / "folder"
    folder.mkdir(exist_ok=True)
    for kind in ("dragEnter", "drop"):
        page.driver.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 200, "data": {
            "items": [], "files": [str(folder)], "dragOperationsMask": 1}})
    page.wait()
    check("a folder gets a message", "is a folder" in page.text("message"), page.text("message"))

    # The same page opens a large picture of a 0, and at once something else.
    page.driver.execute_async_script("""const [zero, seven, done] = arguments;
        const file = async (side, strokes) => {
          const context = newContext(side, 0.75 * side), scale = 0.7 * side;
          const moved = strokes.map((points) => points.map(([x, y]) => [0.1 * side + x * scale, y * scale]));
          inkStrokes(context, moved, 0.08 * side);
          context.canvas.toBlob((blob) => window.files.push(new File([blob], "a.jpg", { type: "image/jpeg" })) == 2 && done(),
                                "image/jpeg");
        };
        window.files = [];
        file(6000, zero).then(() => setTimeout(() => file(200, seven), 1));""", ZERO, [SEVEN])
    page.run("""window.drop = (...files) => {
          const transfer = new DataTransfer();
          for (const file of files) transfer.items.add(file);
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
          return document.getElementById("message").textContent;
        };
        files.sort((a, b) => b.size - a.size);""")
    settle = lambda: page.driver.execute_async_script("setTimeout(arguments[0], 2500)")
    page.click("clear")
    said = page.run("const said = drop(files[0]); drop(files[1]); return said")
    settle()
    best = page.answer()[0]
    check("the picture opened last is shown, not the one that loads longest", best == 7, best)
    check("it says that it loads", "Reading" in said and page.text("message") == "", said)
    page.click("clear")
    page.run("drop(files[0])")
    page.stroke(SEVEN, (0, 0, 1))
    settle()
    best = page.answer()[0]
    check("nor does it replace what is drawn meanwhile", best == 7, best)
    page.run("drop(files[1], files[0])")
    page.driver.execute_async_script("setTimeout(arguments[0], 500)")
    said = page.text("message")
    check("of two pictures it says that one is left out", page.answer()[0] == 7 and "first of the 2" in said, said)
    page.click("clear")


def check_doubt(page):
    size = lambda: float(page.run("return getComputedStyle(document.querySelector('#reading span')).fontSize")[:-2])
    page.draw(ZERO, BIG)
    sure, text = size(), page.text("reading")
    check("a 0 is not in doubt", "?" not in text and text.endswith("%"), text)
    for name, strokes in NO_DIGITS.items():
        page.draw(strokes, BIG)
        text = page.text("reading")
        check(f"{name} is in doubt, and looks so", "?unlike" in text and "%" not in text and size() < 0.6 * sure, text)
    doubted = sum(page.run("return arguments[0].map((pixels) => readImage(Uint8Array.from(pixels)).unlike)",
                           [list(pixels) for pixels in page.samples]))
    check("of 100 test images no more than 3 are", doubted <= 0.03 * len(page.samples), f"{doubted} of {len(page.samples)}")


def check_unsure(page):
    size = "return parseFloat(getComputedStyle(document.querySelector('#reading span')).fontSize)"
    older = page.with_data("older", doubt=None)
    older.draw(NO_DIGITS["a grid"], BIG)
    check("where nothing was left to doubt by, nothing is", "unlike" not in older.text("reading"), older.text("reading"))
    older.draw(ZERO, BIG)
    sure = older.run(size)
    weights = base64.b64decode(older.run("return data.weights"))
    start = 8 + struct.unpack("<Q", weights[:8])[0]
    weights = base64.b64encode(weights[:start] + bytes(len(weights) - start)).decode()
    even = page.with_data("even", doubt=None, weights=weights)
    even.draw(ZERO, BIG)
    text, unsure = even.text("reading"), even.run(size)
    check("a probability below a half is not shown as a certain one",
          text == "0?only 10.0 %" and unsure < 0.6 * sure, f"{text}, {unsure}")


def check_several(page):
    pair = lambda first, second: [(first, (0.05, 0.2, 0.4)), (second, (0.5, 0.25, 0.4))]
    for expected, drawn in (("12", pair(ONE, TWO)), ("10", pair(ONE, ZERO)), ("11", pair(ONE, ONE)), ("88", pair(EIGHT, EIGHT)),
                            ("5", [(FIVE, BIG)]), ("4", [(FOUR, BIG)])):
        page.click("clear")
        for strokes, place in drawn:
            for points in strokes:
                page.stroke(points, place)
        labels = page.run("return mnist.answer.readings.map(({ label }) => label).join('')")
        check(f"a drawn {expected} is read", labels == expected, f"{labels}: {page.text('reading')}")
    shown = page.run("return [seen.width, seen.height]")
    check("one digit is shown as one", shown == [page.data["columns"], page.data["rows"]], shown)
    draw = """const context = newContext(arguments[1], 140);
        for (const [strokes, left] of arguments[0]) inkStrokes(context, strokes.map((points) =>
            points.map(([x, y]) => [left + 100 * x, 20 + 100 * y])), 5);
        return context.canvas.toDataURL().split(",")[1];"""
    for expected, digits in (("1204812", [ONE, TWO, ZERO, FOUR, EIGHT, ONE, TWO]), ("5", [FIVE])):
        picture = page.run(draw, [[strokes, 20 + 110 * n] for n, strokes in enumerate(digits)], 60 + 110 * len(digits))
        page.open(base64.b64decode(picture))
        labels = page.run("return mnist.answer.readings.map(({ label }) => label).join('')")
        check(f"a picture of {expected} is read", labels == expected, f"{labels}: {page.text('reading')}")
    page.click("clear")


def check_sections(page, screenshots):
    check("the page is about digits", page.run("return document.querySelector('h1').textContent") == "Draw a digit")
    data, count = page.data, lambda selector: len(page.driver.find_elements(By.CSS_SELECTOR, selector))
    shown = page.driver.find_element(By.ID, "deformed").is_displayed()
    check("deformed images are there if it was trained on such", shown == (len(data["examples"]) > 0), shown)
    for what, selector, expected in (
            ("probabilities", "#bars li", data["classes"]), ("accuracies", "#accuracies dd", len(data["accuracies"])),
            ("lines of the configuration", "#config dd", len(data["config"])), ("figure of curves", ".curves > svg", 1),
            ("cells of the confusion matrix", "#confusion tbody td", data["classes"] ** 2),
            ("mistakes", "#mistakes figure", len(data["mistakes"])),
            ("deformed images", "#examples canvas", 6 * len(data["examples"])),
            ("first-layer units", "#units canvas", page.run("return Math.min(128, mnist.network.layers[0].fan_out)"))):
        found = count(selector)
        check(f"{what} shown: {expected}", found == expected, found if found != expected else "")
    look(page, "report", screenshots)


def check_test_images(page):
    page.click("clear")
    samples = page.driver.find_elements(By.CSS_SELECTOR, "#samples button")
    check("there is a row of test images", 1 < len(samples) <= 10, len(samples))
    for sample in samples:
        sample.click()
        page.wait()
        name = page.run("return pad.getAttribute('aria-label')")
        best, probability, seen = page.answer()
        index = int(name.split(",")[0].split()[-1])
        expected = page.data["samples"]["probabilities"][index]
        check(f"a click shows {name}", bytes(seen) == page.samples[index] and name.endswith(f"as {best}") and
              abs(probability - max(expected)) < 1e-3, f"{best}, {probability}")
    page.click("undo")
    check("undo brings back the one before", page.answer()[2] != seen)
    if page.data["mistakes"]:
        mistake = page.data["mistakes"][0]
        page.driver.find_element(By.CSS_SELECTOR, "#mistakes button").send_keys(Keys.ENTER)
        page.wait()
        best, probability, seen = page.answer()
        check("a mistake chosen from the keyboard is on the pad, with the same answer", best == mistake["prediction"] and
              abs(probability - mistake["probability"]) < 1e-3, f"{best}, {probability}")
        check("and the pad is in view", in_view(page, "#pad", "#reading"), in_view(page))
    page.click("clear")


def check_first_layer(page):
    lit = lambda: page.run("""const units = document.getElementById("units");
        return units.classList.contains("lit") && [...units.children].map((unit) => +unit.style.getPropertyValue("--lit"))""")
    check("no unit is lit where nothing is drawn", not lit())
    page.stroke(ZERO[0], BIG)
    zero = lit()
    check("a drawing lights up some units", zero and max(zero) == 1 and min(zero) < 0.5, zero and f"{sum(zero):.1f}")
    page.draw(ONE, BIG)
    check("another one others", apart(lit(), zero) > 0.02)


def check_names(page):
    """What a screen reader says, and that it can reach what it should."""
    label = lambda element: page.run("return document.getElementById(arguments[0]).getAttribute('aria-label')", element)
    page.click("clear")
    names = [(label("pad"), label("seen"))]
    for points in FOUR:
        page.stroke(points, BIG)
        names.append((label("pad"), label("seen")))
    page.open(ZERO_SVG, "zero.svg", "drop")
    names.append((label("pad"), label("seen")))
    seen = f"The drawing in {page.data['columns']} × {page.data['rows']} pixels"
    check("pad and prepared image say what they show", names == [
        ("Drawing area, empty", "Nothing yet"), ("A drawing of 1 stroke", seen), ("A drawing of 2 strokes", seen),
        ("A picture", seen)], names)
    for what, selector in (("unit", "#units canvas"), ("deformed image", "#examples canvas"),
                           ("mistake", "#mistakes canvas"), ("test image", "#samples canvas")):
        labels = page.run("""return [...document.querySelectorAll(arguments[0])].map((canvas) =>
            canvas.getAttribute("role") === "img" && canvas.getAttribute("aria-label"))""", selector)
        check(f"each {what} has a name of its own", all(labels) and len(set(labels)) == len(labels), labels[:1])
    check("the matrix has a caption", page.run("return document.querySelector('table').caption.textContent.length > 9"))
    unreachable = page.run("""return [...document.querySelectorAll("body *")].filter((element) =>
        /auto|scroll/.test(getComputedStyle(element).overflowX) && element.tabIndex < 0).map(({ id }) => id)""")
    check("what scrolls can be scrolled from the keyboard", not unreachable, unreachable or "")
    text = page.run("return document.body.innerText")
    rust = [word for word in ("Some(", "None", "{", "[", "CrossEntropy", '"') if word in text]
    check("no text is written as in Rust", not rust, rust or "")


def check_screens(page):
    """Pad and answer fit into one window, beside the pad a finger scrolls, and nothing moves as one draws."""
    for width, height in ((320, 568), (390, 844), (568, 320), (667, 375), (1200, 1000)):
        screen(page, width, height)
        page.click("clear")
        places = lambda: page.run("""return ["#pad", "#undo", "#bars", "#units", "footer"].map((selector) =>
            Math.round(scrollY + document.querySelector(selector).getBoundingClientRect().top))""")
        empty = places()
        page.draw(ONE, BIG)
        page.run("scrollTo(0, 0)")
        seen, drawn = in_view(page, "#pad", "#reading", "#undo", "#bars li:last-child"), places()
        check(f"at {width} × {height} pad and answer are in view", seen, in_view(page))
        page.run("say('That is a message which is as long as the longest that there are. Draw something larger.')")
        page.run("""document.querySelector(".answer").classList.add("unsure");
            document.querySelectorAll("#reading span").forEach((span, i) => (span.textContent = arguments[0][i]))""",
                 ["20?", "unlike the digits that it was trained on"])
        check("and nothing moves as one draws", empty == drawn == places(), f"{empty} {drawn} {places()}")
        x, y = page.run("const { x, bottom } = document.getElementById('bars').getBoundingClientRect(); return [x, bottom]")
        for kind, moved in (("touchStart", 0), *(("touchMove", 15 * step) for step in range(1, 6)), ("touchEnd", None)):
            page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {
                "type": kind, "touchPoints": [] if moved is None else [{"x": x + 20, "y": y - 5 - moved}]})
        scrolled = page.driver.execute_async_script("""const done = arguments[0]; // once the swing has come to rest
            let last = -1;
            const look = () => (scrollY === last ? done(last) : ((last = scrollY), setTimeout(look, 200)));
            look();""")
        check("and a finger beside the pad scrolls", scrolled > 20, scrolled)
    screen(page)


def screen(page, width=0, height=0):
    """The size of the window; without numbers the browser's own."""
    if width:
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700})
    else:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    page.run("scrollTo(0, 0)")
    page.wait()


def in_view(page, *selectors):
    """Whether all of each is within the window; without selectors, where pad and bars begin and end, and the window."""
    edges = lambda selector: page.run("""const { top, bottom } = document.querySelector(arguments[0]).getBoundingClientRect();
        return [Math.round(top), Math.round(bottom)]""", selector)
    height = page.run("return document.documentElement.clientHeight")
    if not selectors:
        return f"pad {edges('#pad')}, bars {edges('#bars')}, window {height}"
    return all(0 <= top <= bottom <= height for top, bottom in map(edges, selectors))


def media(page, **features):
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": name.replace("_", "-"), "value": value} for name, value in features.items()]})
    page.wait()


def check_high_contrast(page):
    page.draw(ZERO, BIG)
    for scheme in ("light", "dark"):
        media(page, forced_colors="active", prefers_color_scheme=scheme)
        for what, one, other in (("bars", ".best .bar", ".best .track"), ("pad and stroke", "#pad", "rgb(255, 255, 255)"),
                                 ("right answers", "td.right", "td.none"), ("wrong answers", "td.wrong", "td.none")):
            # A shade of the background alone is none, so what is transparent does not count.
            colours = [re.findall(r"[\d.]+", name if "(" in name else page.run(
                "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor", name))[:3]
                       for name in (one, other)]
            check(f"{what} can be told in high contrast, {scheme}", colours[0] != colours[1], colours[0])
    media(page)


def check_paper(page):
    """Prints the page without backgrounds, from a dark screen: its first page has the answer and the run, dark on white."""
    best = page.draw(ZERO, BIG)[0]
    media(page, prefers_color_scheme="dark")
    pdf = page.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"]
    media(page)
    convert = lambda *command: subprocess.run(command, input=base64.b64decode(pdf), check=True, capture_output=True).stdout
    text = convert("pdftotext", "-l", "1", "-", "-").decode()
    wanted = [str(best), "The run", page.data["accuracies"][0][1], "Confusion matrix"]
    check("the first page of a print has the answer and the run", all(word in text for word in wanted), wanted)
    pages, rest = [], convert("pdftoppm", "-r", "50", "-")
    while rest:
        kind, size, _, rest = rest.split(b"\n", 3)
        width, height = map(int, size.split())
        pages.append([rest[i:i + 3] for i in range(0, 3 * width * height, 3)])
        rest = rest[3 * width * height:]
    colours = pages[0]
    upper = [colours[y * width + x] for y in range(height // 4) for x in range(width // 3)]
    near = lambda colour, *wanted: all(abs(a - b) < 25 for a, b in zip(colour, wanted, strict=True))
    count = lambda place, *wanted: sum(near(colour, *wanted) for colour in place)
    for what, found, least in (("the drawing", count(upper, 20, 20, 20), 300), ("the bar", count(colours, 10, 98, 196), 500),
                               ("the matrix's right answers", count(colours, 157, 192, 231), 300)):
        check(f"{what} is on it", found > least, f"{found} pixels")
    dark = sum(count(colours, 18, 22, 27) for colours in pages)
    check("the curves are on white, as all is", dark < 15_000, f"{dark} dark pixels")


def check_no_scripts(page):
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.driver.get(page.file.as_uri())
    text = page.driver.find_element(By.TAG_NAME, "body").text
    dead = [element.tag_name for element in page.driver.find_elements(By.CSS_SELECTOR, "canvas, button, section, h2")
            if element.is_displayed() and not element.find_elements(By.CSS_SELECTOR, "svg")]
    curves = page.driver.find_element(By.CSS_SELECTOR, "svg").is_displayed()
    check("without JavaScript there are the curves, and nothing dead", curves and "JavaScript" in text and dead == ["h2"], dead)
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    page.__init__(page.driver, page.file, page.scratch)


def look(page, name, screenshots):
    """Checks and photographs the page, light and dark, wide and narrow."""
    for width in (1200, 390):
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": 844, "deviceScaleFactor": 1 if width > 600 else 2, "mobile": width < 600})
        page.wait()
        wide = page.run("return document.documentElement.scrollWidth")
        check(f"nothing is wider than a window of {width}", wide <= width, wide)
        for scheme in ("light", "dark") if screenshots else ():
            page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
                "features": [{"name": "prefers-color-scheme", "value": scheme}]})
            page.wait()
            content = page.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            picture = page.driver.execute_cdp_cmd("Page.captureScreenshot", {
                "captureBeyondViewport": True, "clip": {**content, "x": 0, "y": 0, "scale": 1}})
            screenshots.mkdir(parents=True, exist_ok=True)
            (screenshots / f"{name}-{width}-{scheme}.png").write_bytes(base64.b64decode(picture["data"]))


def check_quiet(page):
    console = [entry["message"] for entry in page.driver.get_log("browser")]
    check("the console stayed empty", not console, console or "")
    messages = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    requests = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    requests = [url for url in requests if not url.startswith("blob:")]  # the page's own memory
    check("nothing was requested but the page itself", requests == [page.file.as_uri()], requests)


def check_large_network(page):
    """A page without its weights, which asks for their file."""
    weights, large = page.run("return data.weights"), page.with_data("large", weights="")
    best, said = large.draw(ZERO, BIG)[0], large.text("message")
    check("without the weights there is no answer but a message", best is None and "model.safetensors" in said, said)
    for way in ("file", "drop"):
        large = page.with_data("large", weights="")
        large.draw(ZERO, BIG)
        best, difference = large.open(base64.b64decode(weights), "model.safetensors", way)[0], large.difference()
        said = large.text("message") + large.text("alarm")
        check(f"with them ({way}) what was drawn is read", best == 0 and difference <= 1e-4 and not said, f"{best} {said}")
    right = base64.b64decode(weights)
    some_layers = lambda *widths: [([[0.1] * fan_in] * fan_out, [0.0] * fan_out) for fan_in, fan_out in zip(widths, widths[1:])]
    large = page.with_data("large", weights="")
    large.draw(ZERO, BIG)
    for what, content, message in (
            ("a run's of the same shape", base64.b64decode(safetensors(some_layers(784, 20, 10), {})), "differ"),
            ("a network's of another shape", base64.b64decode(safetensors(some_layers(3, 2), {})), "3 inputs"),
            ("tensors of other names", right.replace(b'"0.', b'"z.'), "no tensor 0.weight, but"),
            ("16-bit numbers", right.replace(b'"F32"', b'"F16"'), "F16"),
            ("half a file", right[:len(right) // 2], "cut off"), ("the first bytes", right[:50], "beginning"),
            ("no bytes", b"", "beginning"), ("a text", b"text that is long enough", "not a safetensors file")):
        large.open(content, "model.safetensors")
        for _ in range(20):  # the comparison takes its time
            large.wait()
            if message in large.text("message"):
                break
            large.driver.execute_async_script("setTimeout(arguments[0], 100)")
        shown = large.text("message") + large.text("alarm")
        check(f"weights that are {what} are refused", large.answer()[0] is None and message in shown, shown)
    best = large.open(right, "model.safetensors")[0]
    said = large.text("message") + large.text("alarm")
    check("then the right ones are read", best == 0 and large.difference() <= 1e-4 and not said, f"{best} {said}")


def check_other_networks(page, screenshots):
    """Pages of small networks with random weights, whose probabilities are computed here."""
    draw = random.Random(1).uniform
    sigmoid = lambda z: 1 / (1 + math.exp(-z))
    functions = {"Sigmoid": sigmoid, "Tanh": math.tanh, "ReLU": lambda z: max(0, z), "SiLU": lambda z: z * sigmoid(z)}

    layers_of = []  # of each network that random_data made

    def random_data(widths, activation, images, **members):
        numbers = lambda count: [draw(-1, 1) for _ in range(count)]
        layers = [([numbers(fan_in) for _ in range(fan_out)], numbers(fan_out))
                  for fan_in, fan_out in zip(widths, widths[1:])]
        layers_of.append(layers)
        pixels = bytes(round(draw(0, 255)) for _ in range(images * widths[0]))
        metadata = {"activation": activation} if activation else {}
        return {"rows": 3, "columns": widths[0] // 3, "classes": widths[-1], "weights": safetensors(layers, metadata),
                "confusion": [[1] * widths[-1]] * widths[-1], "mistakes": [], "doubt": None, **members,
                "samples": {"pixels": base64.b64encode(pixels).decode(), "probabilities": [
                    probabilities(layers, functions[activation or "Sigmoid"], pixels[i * widths[0]:][:widths[0]])
                    for i in range(images)]}}

    for activation in (*functions, None):
        data = random_data([12, 7, 5, 4], activation, 5)
        other = page.with_data("small", **data)
        difference = other.difference()
        check(f"a network with {activation or 'no'} activation in its file is computed", difference < 1e-6, difference)
        other.driver.find_element(By.CSS_SELECTOR, "#samples button").click()
        other.wait()
        weight, bias = layers_of[-1][0]
        z = [sum(w * (p - 127.5) / 255 for w, p in zip(row, other.answer()[2], strict=True)) + b
             for row, b in zip(weight, bias, strict=True)]
        expected = [functions[activation or "Sigmoid"](value) for value in z]
        shown = other.run("return [...units.children].map((unit) => unit.title.replace('−', '-').split(': ')[1])")
        check("its first layer lights up as it should", shown == [f"{value:.2f}" for value in expected], shown)
    data["samples"]["probabilities"][3][1] += 0.01
    other = page.with_data("differs", **data)
    difference, alarm = other.difference(), other.driver.find_element(By.ID, "alarm").text
    check("a difference of 0.01 raises an alarm", abs(difference - 0.01) < 1e-6 and "differ" in alarm, alarm)
    unknown = {**data, "weights": random_data([12, 7, 4], "ReLU", 1)["weights"]}
    unknown["weights"] = base64.b64encode(base64.b64decode(unknown["weights"]).replace(b"ReLU", b"GELU")).decode()
    alarm = page.with_data("unknown", **unknown).driver.find_element(By.ID, "alarm").text
    check("an unknown activation too", "GELU" in alarm, alarm)

    names = [f"{kind} {n}" for n in range(20) for kind in ("Shirt", "Ankle boot")]
    other = page.with_data("wide", **random_data([12, 300, 40], None, 2, class_names=names))
    count = lambda selector: len(other.driver.find_elements(By.CSS_SELECTOR, selector))
    found = [count("#bars li"), count("#confusion tbody td"), count("#units canvas")]
    check("many classes and units are not all shown", found == [12, 900, 128], found)
    other.stroke(ZERO[0], BIG)
    shown, text = other.text("reading"), other.run("return document.body.innerText")
    check("classes have their names", any(shown.startswith(name) for name in names), shown)
    check("and no text speaks of digits", "digit" not in text.lower() and "digit" not in other.driver.title.lower())
    for width, height in ((320, 568), (568, 320)):
        screen(other, width, height)
        wide = other.run("return [...document.querySelectorAll('#bars li')].filter((li) => li.scrollWidth > li.clientWidth).length")
        check(f"their bars fit into {width} × {height}", not wide and in_view(other, "#pad", "#reading"), wide)
    look(other, "wide", screenshots)


def probabilities(layers, activation, pixels):
    x = [(p - 127.5) / 255 for p in pixels]
    for n, (weight, bias) in enumerate(layers):
        z = [sum(w * x for w, x in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)]
        x = [activation(value) for value in z] if n + 1 < len(layers) else [math.exp(value) for value in z]
    return [value / sum(x) for value in x]


def safetensors(layers, metadata):
    """The base64 of a safetensors file."""
    header, numbers = {"__metadata__": metadata} if metadata else {}, b""
    for n, (weight, bias) in enumerate(layers):
        shape = [len(bias), len(weight[0])]
        for kind, shape, values in (("weight", shape, sum(weight, [])), ("bias", shape[:1], bias)):
            start, numbers = len(numbers), numbers + struct.pack(f"<{len(values)}f", *values)
            header[f"{2 * n}.{kind}"] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(numbers)]}
    text = json.dumps(header).encode()
    return base64.b64encode(struct.pack("<Q", len(text)) + text + numbers).decode()


def apart(a, b):
    """The mean difference a pixel."""
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) / len(a) if a and b else math.inf


def sum_of_seen(page):
    return page.run("""const seen = document.getElementById("seen");
        const { data } = seen.getContext("2d").getImageData(0, 0, seen.width, seen.height);
        return data.reduce((sum, value, i) => sum + (i % 4 < 3 ? value : 0), 0)""")


def png(lines, channels=1):
    """A PNG of 8-bit lines, grey or (4 channels) RGBA."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", len(lines[0]) // channels, len(lines), 8, {1: 0, 4: 6}[channels], 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line for line in lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None)
