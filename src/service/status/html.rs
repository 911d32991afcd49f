//! The status as a page for browsers. Every value is escaped by the template; the page loads nothing and has no
//! script, and the browser is told to allow neither.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::report::{Answers, Configuration, Process, Refused, Report};
use super::show::{self, Millis};

/// The content type.
pub(super) const TYPE: &str = "text/html; charset=utf-8";

/// The style, with a hash that allows it alone.
const CSS: &str = include_str!("../../../templates/status.css");

/// The shares of decisions whose times are shown.
const SHARES: [f64; 3] = [0.5, 0.95, 0.99];

/// The height of a chart, and the width of a minute in it.
const HEIGHT: f64 = 46.0;
const STEP: usize = 4;

/// The header that allows the style of the page and nothing else (Content Security Policy Level 3).
pub(super) fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(CSS.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[derive(Template)]
#[template(path = "status.html")]
struct Page<'a> {
    css: &'static str,
    now: u64,
    full: bool,
    report: &'a Report,
    process: &'a Process,
    configuration: &'a Configuration,
    answers: &'a Answers,
    charts: Vec<Chart>,
    shares: [f64; 3],
    refused: Vec<&'a Refused>,
}

/// A chart of the last hour.
struct Chart {
    name: &'static str,
    class: &'static str,
    /// The largest value, as text.
    most: String,
    bars: Vec<Bar>,
}

/// The bar of one minute.
struct Bar {
    x: usize,
    y: f64,
    height: f64,
}

impl Chart {
    fn new(
        name: &'static str,
        class: &'static str,
        values: &[f64],
        shown: fn(f64) -> String,
    ) -> Self {
        let most = values.iter().copied().fold(0.0, f64::max);
        // The latest minute is at the right end.
        let first = super::history::MINUTES.saturating_sub(values.len());
        let bars = values.iter().enumerate().filter(|(_, value)| **value > 0.0);
        let bars = bars.map(|(at, value)| {
            let height = (value / most * HEIGHT).max(1.0);
            Bar {
                x: (first + at) * STEP,
                y: round(HEIGHT + 2.0 - height),
                height: round(height),
            }
        });
        Self {
            name,
            class,
            bars: bars.collect(),
            most: shown(most),
        }
    }
}

/// To a tenth.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The page.
pub(super) fn page(report: &Report) -> String {
    let minutes = &report.answers.minutes;
    let of =
        |value: fn(&super::report::Minute) -> f64| minutes.iter().map(value).collect::<Vec<_>>();
    let number = |value: f64| format!("{value:.0}");
    let millis = |value: f64| Millis(value).to_string();
    let throttle = report.throttle.as_ref();
    let networks = throttle.into_iter().flat_map(|it| &it.refused_networks);
    let logins = throttle.and_then(|it| it.refused_logins.as_ref());
    let page = Page {
        css: CSS,
        now: report.now,
        full: logins.is_some(),
        report,
        process: &report.process,
        configuration: &report.configuration,
        answers: &report.answers,
        charts: vec![
            Chart::new(
                "accepted",
                "accepted",
                &of(|it| it.answers.accepted as f64),
                number,
            ),
            Chart::new(
                "refused",
                "refused",
                &of(|it| it.answers.refused as f64),
                number,
            ),
            Chart::new(
                "temporary failures",
                "temporary",
                &of(|it| it.answers.temporary as f64),
                number,
            ),
            Chart::new("mean time", "time", &of(|it| it.mean_ms), millis),
        ],
        shares: SHARES,
        refused: networks.chain(logins.into_iter().flatten()).collect(),
    };
    // Writing to a string cannot fail.
    page.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::status::report::{Minute, Throttle};

    const HOSTILE: &str = "<script>alert(1)</script>\"'&";

    /// Every text of a report is hostile.
    fn hostile() -> Report {
        let value = serde_json::to_value(crate::service::status::report::example()).unwrap();
        fn spoil(value: &mut serde_json::Value) {
            match value {
                serde_json::Value::String(text) => *text = HOSTILE.to_owned(),
                serde_json::Value::Array(values) => values.iter_mut().for_each(spoil),
                serde_json::Value::Object(fields) => fields.values_mut().for_each(spoil),
                _ => {}
            }
        }
        let mut value = value;
        spoil(&mut value);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn no_value_becomes_a_tag() {
        let page = page(&hostile());
        assert!(
            !page.contains("<script") && !page.contains("\"'&"),
            "{page}"
        );
        let escaped = page.matches("&#60;script&#62;").count();
        assert!(escaped > 20, "only {escaped} values are shown");
    }

    #[test]
    fn the_page_loads_nothing_and_its_style_is_allowed() {
        let page = page(&Report::default());
        for from_elsewhere in [
            "src=", "@import", "url(", "http:", "https:", "style=", "onload",
        ] {
            assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
        }
        let (_, rest) = page.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
        assert!(policy().contains(&format!("style-src 'sha256-{hash}'")));
    }

    #[test]
    fn a_chart_ends_at_the_right_with_the_minute_in_progress() {
        let mut report = Report::default();
        report.answers.minutes = vec![Minute::default(); 3];
        report.answers.minutes[1].answers.accepted = 4;
        report.answers.minutes[2].answers.accepted = 8;
        let page = page(&report);
        let bars: Vec<_> = page
            .split("<rect ")
            .skip(1)
            .map(|it| it.split('/').next().unwrap())
            .collect();
        let expected = [
            r#"class="accepted" x="232" y="25" width="3" height="23""#,
            r#"class="accepted" x="236" y="2" width="3" height="46""#,
        ];
        assert_eq!(bars, expected);
        assert!(page.contains("accepted, last hour (at most 8)"), "{page}");
    }

    #[test]
    fn logins_are_shown_only_if_the_report_has_them() {
        let login = Refused {
            login: Some("alice".to_owned()),
            ..Refused::default()
        };
        let shown = |refused_logins| {
            let throttle = Some(Throttle {
                refused_logins,
                ..Throttle::default()
            });
            page(&Report {
                throttle,
                ..Report::default()
            })
        };
        assert!(shown(Some(vec![login])).contains("alice from anywhere"));
        assert!(!shown(None).contains("from anywhere"));
    }
}
