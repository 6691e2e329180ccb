"""Draws a digit on a report.html in headless Chromium, and takes a picture of the page's top.

python page_picture.py REPORT.html PICTURE.png

Needs what check_page.py needs.
"""
import base64, pathlib, sys, tempfile

from check_page import Page, browser

# A 2 as a quick hand draws it, in a unit square.
TWO = [(0.22, 0.24), (0.28, 0.13), (0.40, 0.06), (0.54, 0.06), (0.66, 0.13), (0.71, 0.26), (0.68, 0.40), (0.58, 0.55),
       (0.45, 0.70), (0.32, 0.83), (0.22, 0.92), (0.35, 0.89), (0.55, 0.88), (0.80, 0.91)]

if __name__ == "__main__":
    report, picture = map(pathlib.Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch, browser(scratch) as driver:
        driver.set_window_size(1140, 800)
        page = Page(driver, report.resolve(), pathlib.Path(scratch))
        page.stroke(TWO, (0.1, 0.1, 0.8))
        driver.execute_async_script("setTimeout(arguments[0], 500)")
        bottom = page.run("return document.querySelector('.draw').getBoundingClientRect().bottom") + 24
        clip = {"x": 0, "y": 0, "width": page.run("return document.documentElement.clientWidth"), "height": bottom}
        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": {**clip, "scale": 1}})
        picture.write_bytes(base64.b64decode(shot["data"]))
