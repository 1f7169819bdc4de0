// What is read from a run's output, one test a line.
fn render(stdout: &str, stderr: &str) -> String {
    let Some(report) = parse(stdout, stderr) else {
        return "nothing".to_owned();
    };
    let mut out = format!(
        "{:?}: {} passed, {} failed, {} skipped{}\n",
        report.framework,
        report.passed,
        report.failed,
        report.skipped,
        if report.names_passed { "" } else { ", passing tests not named" },
    );
    for (name, outcome) in &report.tests {
        out.push_str(&format!("{outcome:?} {name}\n"));
    }
    out
}
