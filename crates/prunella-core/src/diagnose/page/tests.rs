use super::*;
use crate::diagnose::bundle::{Documents, diagnose};

const HOSTILE: &str = "tidy\u{1b}[31m <img src=x> @all [a](http://evil) `|`";

fn bundle() -> Bundle {
    let mut rows = "timestamp,service,metric,value\n".to_owned();
    for minute in 0..90 {
        let value = if minute < 60 { 0.001 } else { 0.6 };
        rows += &format!("{},shop,error_rate_5xx_ratio,{value}\n", minute * 60);
    }
    let log = r#"{"timestamp": 3700, "service": "shop", "level": "ERROR", "message": "panic: nil pointer dereference in charge"}"#;
    let commits = serde_json::json!([
        {"sha": "aaaaaaaaaaaa", "timestamp": 3000, "author": "someone", "message": HOSTILE, "files_changed": ["shop/a b.go"],
         "diff": "@@ func charge @@\n-\tif card != nil {\n-\t\tpay(card.Number)\n-\t}\n+\tpay(card.Number)\n"},
        {"sha": "bbbbbbbbbbbb", "timestamp": 3000, "message": "documents", "files_changed": ["README.md"], "diff": "@@ a @@\n-a\n+b\n"},
        {"sha": "cccccccccccc", "timestamp": 3000, "message": "unread", "files_changed": ["shop/b.go"], "diff": null}
    ]);
    let deploys = serde_json::json!([{"timestamp": 3500, "service": "shop", "commit_sha": "aaaaaaaaaaaa"}]);
    Bundle::parse(&Documents {
        alert: r#"{"service": "shop", "metric": "error_rate_5xx_ratio", "fired_at": 3900}"#,
        logs: log,
        metrics: &rows,
        commits: &commits.to_string(),
        deploys: &deploys.to_string(),
        ..Documents::default()
    })
}

fn page() -> Page {
    let bundle = bundle();
    let mut page = Page::of_bundle(&diagnose(&bundle), &bundle);
    page.suspects[0].owners = vec!["@payments".to_owned()];
    page
}

#[test]
fn text_is_golden() {
    insta::assert_snapshot!(text(&page()));
}

#[test]
fn markdown_is_golden_and_means_nothing_else() {
    let shown = markdown(&page());
    assert!(
        !shown.contains("<img") && !shown.contains("](") && !shown.contains("@all"),
        "{shown}"
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn sarif_has_what_2_1_0_asks_for() {
    let log = sarif(&page(), "1.2.3");
    let run = &log["runs"][0];
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(run["results"][0]["level"], "warning");
    let place = &run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(place, "shop/a%20b.go");
    assert!(!log.to_string().contains("\\u001b"));
}

#[test]
fn what_cannot_be_it_is_ruled_out_with_the_reason() {
    let page = page();
    assert_eq!(page.grade, Sureness::Likely);
    assert!(
        page.ruled_out.iter().any(|out| out.what.starts_with("bbbb")),
        "{page:?}"
    );
    assert!(page.suspects.iter().all(|suspect| !suspect.commit.starts_with("bbbb")));
    assert!(
        page.not_looked_at
            .iter()
            .any(|what| what.contains("diffs were not given"))
    );
}

#[test]
fn an_empty_bundle_is_inconclusive() {
    let bundle = Bundle::default();
    let page = Page::of_bundle(&diagnose(&bundle), &bundle);
    assert_eq!(page.grade, Sureness::Inconclusive);
    assert!(matches!(page.cause, Culprit::NoCode { .. }));
    assert!(
        sarif(&page, "0")["runs"][0]["results"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
}

#[test]
fn json_comes_back() {
    let page = page();
    let json = serde_json::to_string(&page).unwrap();
    let back: Page = serde_json::from_str(&json).unwrap();
    assert_eq!(back.cause, page.cause);
}
