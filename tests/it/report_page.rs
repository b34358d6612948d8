//! The page of a report in a browser: it draws, zooms, searches and tells why, without a
//! network, in the dark, and on a phone.

use std::fs;

use serde_json::{Value, json};

use crate::report::{Store, disk};
use crate::support::browser::Browser;
use crate::support::command::run;
use crate::support::direct::{Direct, FakeStore};
use crate::support::nix::PathInfo;
use crate::support::temporary;

/// The page of a report, open in a browser.
struct Page {
    browser: Browser,
    /// Of the image.
    _direct: Direct,
}

impl Page {
    #[track_caller]
    fn open(width: u32, scheme: &str) -> Self {
        Self::of(
            Store::new().reported(json!({ "root": {} }), 2),
            width,
            scheme,
        )
    }

    /// That of the report which `direct` made.
    #[track_caller]
    fn of(direct: Direct, width: u32, scheme: &str) -> Self {
        let mut browser = Browser::start();
        browser.resize(width, 900);
        browser.prefer(scheme);
        browser.open(&direct.report().join("report.html"));
        Self {
            browser,
            _direct: direct,
        }
    }

    #[track_caller]
    fn evaluate(&mut self, expression: &str) -> Value {
        self.browser.evaluate(expression)
    }

    /// The texts of all elements that `selector` finds.
    #[track_caller]
    fn texts(&mut self, selector: &str) -> Vec<String> {
        let expression =
            format!("[...document.querySelectorAll({selector:?})].map((one) => one.textContent)");
        serde_json::from_value(self.evaluate(&expression)).unwrap()
    }

    /// Clicks on the cell of the map that is labelled with `name`.
    #[track_caller]
    fn click_cell(&mut self, name: &str) {
        let found = self.evaluate(&format!(
            "(() => {{
              const cells = [...document.querySelectorAll('.cell')];
              const cell = cells.find((one) => one.getAttribute('aria-label').startsWith({name:?} + ','));
              if (cell) cell.click();
              return Boolean(cell);
            }})()"
        ));
        assert_eq!(found, true, "no cell {name}: {:?}", self.texts(".cell"));
    }

    #[track_caller]
    fn search(&mut self, words: &str) {
        self.evaluate(&format!(
            "(() => {{
              const search = document.getElementById('search');
              search.value = {words:?};
              search.dispatchEvent(new Event('input'));
              return new Promise((done) => setTimeout(done, 200));
            }})()"
        ));
    }

    /// Fails if the page complained, or asked anybody for anything.
    #[track_caller]
    fn was_content(mut self) {
        self.evaluate("new Promise((done) => setTimeout(done, 50))");
        assert_eq!(self.browser.complaints, [""; 0]);
    }
}

#[test]
fn the_page_draws_the_image_to_scale() {
    let mut page = Page::open(1200, "light");
    let size = page.texts("#size");
    assert!(size[0].ends_with(" MiB"), "{size:?}");
    let areas = page.evaluate(
        "(() => {
          const figures = JSON.parse(document.getElementById('figures').textContent);
          const map = document.getElementById('map').getBoundingClientRect();
          const scale = figures.image.bytes / (map.width * map.height);
          const of = (name) => {
            const cell = [...document.querySelectorAll('.cell.one')]
              .find((one) => one.getAttribute('aria-label').startsWith(name + ','));
            const { width, height } = cell.getBoundingClientRect();
            return (width + 1) * (height + 1) * scale;
          };
          const library = figures.paths.find(([path]) => path.endsWith('-library'));
          const { costs } = figures.parts[0];
          return [of('library') / library[1], of('Free') / costs.free];
        })()",
    );
    for ratio in areas.as_array().unwrap() {
        let ratio = ratio.as_f64().unwrap();
        assert!((0.97..1.03).contains(&ratio), "{areas}");
    }
    let cells = page.texts(".cell");
    assert!(cells.len() > 8, "{cells:?}");
    page.was_content();
}

#[test]
fn images_of_all_kinds_are_drawn() {
    for (image, parts) in [
        (
            disk(),
            &["the partition table", "partition 1", "library"][..],
        ),
        (
            json!({ "kind": "tar", "compression": "zstd" }),
            &["library"],
        ),
        (json!({ "container": "qcow2" }), &["library", "Free"]),
    ] {
        let mut page = Page::of(Store::new().reported(image, 2), 1200, "light");
        let labels = page.evaluate(
            "[...document.querySelectorAll('.cell')].map((one) => one.getAttribute('aria-label'))",
        );
        for part in parts {
            let is_there = |label: &Value| label.as_str().unwrap().contains(part);
            let labels = labels.as_array().unwrap();
            assert!(labels.iter().any(is_there), "no {part} in {labels:?}");
        }
        page.search("library.so");
        let found = page.texts("#found");
        assert!(
            found[0].starts_with("0 paths and 1 file match, "),
            "{found:?}"
        );
        page.was_content();
    }
}

/// More files than are listed, and more store paths.
#[test]
fn a_page_of_very_many_files_and_paths_says_what_it_leaves_out() {
    let store = temporary::directory();
    let infos: Vec<PathInfo> = (0..10_003)
        .map(|number| {
            let path = format!("/nix/store/{number:032}-many");
            let stands_at = store.path().join(format!("{number:032}-many"));
            fs::create_dir(&stands_at).unwrap();
            for file in 0..=2 {
                fs::write(stands_at.join(format!("file{file}")), [b'x'; 5]).unwrap();
            }
            PathInfo {
                path,
                ..FakeStore::info()
            }
        })
        .collect();
    let direct = Direct::new(json!({ "report": true }), &infos);
    run(&mut direct.builder_with_store(store.path()));
    let mut page = Page::of(direct, 1200, "light");
    // Between thousands the page has spaces at which no line ends.
    let cut = page.texts("#cut p")[0].replace('\u{202f}', "");
    assert!(cut.starts_with("20000 files are listed here, "), "{cut}");
    assert!(
        cut.ends_with("So are store paths beyond the 10000 largest."),
        "{cut}"
    );
    let figures = page.evaluate(
        "(() => {
          const figures = JSON.parse(document.getElementById('figures').textContent);
          const owners = figures.paths.length + figures.others.length;
          return [figures.pathsBeyond, figures.files.every(([owner]) => owner < owners)];
        })()",
    );
    // Three files and a directory in each of three paths.
    assert_eq!(figures, json!([3 * 4 * 4096, true]));
    page.was_content();
}

#[test]
fn the_map_zooms_by_clicks_and_keys() {
    let mut page = Page::open(1200, "light");
    page.click_cell("library");
    assert_eq!(page.texts("#crumbs button"), ["The image", "library"]);
    let chain = page.texts("#detail .chain li");
    assert_eq!(chain, ["system", "library"]);
    page.click_cell("lib");
    assert_eq!(
        page.texts("#crumbs button"),
        ["The image", "library", "lib"]
    );
    page.click_cell("library.so");
    let detail = page.texts("#detail h3");
    assert!(detail[0].ends_with("-library/lib/library.so"), "{detail:?}");
    page.browser.press("Escape");
    page.browser.press("Backspace");
    assert_eq!(page.texts("#crumbs button"), ["The image"]);
    page.browser.press("End");
    page.browser.press("Home");
    let first = page.evaluate("document.activeElement.getAttribute('aria-label')");
    page.browser.press("ArrowRight");
    let second = page.evaluate("document.activeElement.getAttribute('aria-label')");
    assert_ne!(first, second);
    page.browser.press("Home");
    page.browser.press("Enter");
    let crumbs = page.texts("#crumbs button").len();
    let is_leaf = !first.as_str().unwrap().ends_with("opens");
    assert_eq!(crumbs, if is_leaf { 1 } else { 2 }, "{first}");
    page.was_content();
}

#[test]
fn a_crumb_leads_back_and_a_link_of_a_chain_to_its_path() {
    let mut page = Page::open(1200, "light");
    page.click_cell("library");
    page.evaluate("document.querySelector('#detail .chain button').click()");
    assert_eq!(page.texts("#crumbs button"), ["The image", "system"]);
    let why = page.texts("#detail");
    assert!(why[0].contains("It was asked for"), "{why:?}");
    page.evaluate("document.querySelector('#crumbs button').click()");
    assert_eq!(page.texts("#crumbs button"), ["The image"]);
    page.was_content();
}

#[test]
fn the_search_marks_what_it_finds() {
    let mut page = Page::open(1200, "light");
    page.search("DE.mo");
    let found = page.texts("#found");
    assert!(
        found[0].starts_with("0 paths and 1 file match, "),
        "{found:?}"
    );
    let hits = page.evaluate(
        "[...document.querySelectorAll('.cell.one.hit')].map((one) => one.getAttribute('aria-label').split(',')[0])",
    );
    assert_eq!(hits, json!(["data"]));
    assert_eq!(page.texts("#panel tbody tr").len(), 1);
    page.search("library");
    assert!(page.texts("#found")[0].starts_with("1 path and 2 files match, "));
    page.search("nothing like it");
    assert_eq!(page.texts("#found"), ["Nothing matches."]);
    page.search("");
    assert_eq!(page.texts("#found"), [""]);
    assert_eq!(
        page.evaluate("document.querySelectorAll('.searching').length"),
        0
    );
    page.was_content();
}

#[test]
fn the_tables_say_what_the_map_shows() {
    let mut page = Page::open(1200, "light");
    let names = page.texts("[role=tab]");
    assert_eq!(names, ["Paths", "Files", "Duplicates", "Costs"]);
    let first = page.texts("#panel tbody tr td");
    assert!(first[0].ends_with("-library"), "{first:?}");
    for (tab, text) in [
        ("Files", "lib/library.so"),
        ("Duplicates", "lib/copy.so"),
        ("Costs", "Inode tables"),
    ] {
        page.evaluate(&format!("document.getElementById('tab-{tab}').click()"));
        let panel = page.texts("#panel");
        assert!(panel[0].contains(text), "{tab}: {panel:?}");
    }
    page.was_content();
}

#[test]
fn names_are_shown_as_they_are() {
    let mut page = Page::open(1200, "light");
    page.click_cell("data");
    page.click_cell("share");
    let labels = page.evaluate(
        "[...document.querySelectorAll('.cell')].map((one) => one.getAttribute('aria-label'))",
    );
    let labels = labels.to_string();
    assert!(labels.contains("<b>&amp;, 8.00 KiB"), "{labels}");
    page.was_content();
}

/// The contrast of the text of an element with what is behind it, as WCAG 2 computes it.
const CONTRAST: &str = "(selector) => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const worst = [...document.querySelectorAll(selector)].map((element) => {
    const text = luminance(getComputedStyle(element).color);
    let behind = element;
    while (channels(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
    const ground = luminance(getComputedStyle(behind).backgroundColor);
    return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  });
  return Math.min(...worst);
}";

#[test]
fn text_can_be_read_in_light_and_in_the_dark() {
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        let mut page = Page::open(1200, scheme);
        page.click_cell("library");
        for selector in [
            "body",
            ".cell.one",
            ".cell.two",
            ".soft",
            ".legend small",
            "td button",
            "th",
            ".hash",
        ] {
            let contrast = page.evaluate(&format!("({CONTRAST})({selector:?})"));
            // Of nothing, it is infinite, which JSON has not.
            let contrast = contrast.as_f64();
            let contrast = contrast.unwrap_or_else(|| panic!("nothing is {selector}"));
            assert!(
                contrast >= 4.5,
                "{scheme}: {selector} has a contrast of {contrast}"
            );
        }
        grounds.push(page.evaluate("getComputedStyle(document.body).backgroundColor"));
        page.was_content();
    }
    assert_ne!(grounds[0], grounds[1]);
}

#[test]
fn a_phone_needs_no_scrolling_to_the_side() {
    let mut page = Page::open(360, "light");
    for tab in ["Paths", "Files", "Duplicates", "Costs"] {
        page.evaluate(&format!("document.getElementById('tab-{tab}').click()"));
        let width = page.evaluate("document.documentElement.scrollWidth");
        assert_eq!(width, 360, "{tab}");
    }
    page.click_cell("library");
    assert_eq!(page.evaluate("document.documentElement.scrollWidth"), 360);
    assert!(page.texts(".cell").len() > 1);
    // Turned round, the map is drawn anew.
    page.browser.resize(740, 360);
    // Whoever observes sizes is told at the end of a frame.
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
    );
    let rest = page.evaluate(
        "(() => {
          const right = (one) => one.getBoundingClientRect().right;
          const cells = [...document.querySelectorAll('.cell')].map(right);
          const { scrollWidth, clientWidth } = document.documentElement;
          return [scrollWidth - clientWidth, right(document.getElementById('map')) - Math.max(...cells)];
        })()",
    );
    assert_eq!(rest[0], 0);
    let rest = rest[1].as_f64().unwrap();
    assert!((0.0..4.0).contains(&rest), "{rest}");
    page.was_content();
}

#[test]
fn what_can_be_pressed_has_a_name() {
    let mut page = Page::open(1200, "light");
    let nameless = page.evaluate(
        "[...document.querySelectorAll('button, input')].filter((one) => {
          const label = one.labels && one.labels.length > 0;
          return !label && !one.getAttribute('aria-label') && one.textContent.trim() === '';
        }).length",
    );
    assert_eq!(nameless, 0);
    page.was_content();
}
