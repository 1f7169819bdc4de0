// What an assembler makes of `input` when all its lines arrive at once: one paragraph a record.
fn render(input: &str) -> String {
    let mut assembler = Assembler::new(PathMapper::new(["/srv/shop"]), Limits::DEFAULT);
    let mut records = Vec::new();
    for line in input.replace('␛', "\u{1b}").lines() {
        records.extend(assembler.feed(line, 0));
    }
    records.extend(assembler.finish());
    let mut out = String::new();
    for record in records {
        let severity = record.severity.map_or("?".to_owned(), |severity| format!("{severity:?}"));
        match &record.exception {
            None => out.push_str(&format!("{severity} | {}\n", record.text.replace('\n', "⏎"))),
            Some(exception) => {
                out.push_str(&format!("{severity} | {} lines\n", record.text.lines().count()));
                render_exception(exception, "  ", &mut out);
            }
        }
    }
    out
}

fn render_exception(exception: &Exception, indent: &str, out: &mut String) {
    let message = exception.message.replace('\n', "⏎");
    out.push_str(&format!("{indent}{:?} {}: {message}\n", exception.language, exception.class));
    let foreign = exception.frames.iter().filter(|frame| !frame.in_app).count();
    for frame in exception.frames.iter().filter(|frame| frame.in_app) {
        let line = frame.line.map_or("?".to_owned(), |line| line.to_string());
        out.push_str(&format!("{indent}  {}:{line} {}\n", frame.file, frame.function));
    }
    if foreign > 0 {
        out.push_str(&format!("{indent}  and {foreign} foreign frames\n"));
    }
    for cause in &exception.causes {
        render_exception(cause, &format!("{indent}  caused by "), out);
    }
}
