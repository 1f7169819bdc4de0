//! Faults that leave the status as it is, made on the answers of a real service.

use serde_json::{Map, Number, Value};

/// An answer of a service.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) route: String,
    pub(crate) uri: String,
    pub(crate) status: u16,
    pub(crate) media: String,
    pub(crate) body: Vec<u8>,
}

/// A fault in an answer: what becomes of the `nth` one, or nothing if it does not apply to such an answer.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) make: fn(&Answer, nth: usize) -> Option<Answer>,
}

pub(crate) static FAULTS: &[Fault] = &[
    Fault {
        name: "a field is missing",
        make: |a, _| json(a, &mut |v| drop_field(v)),
    },
    Fault {
        name: "a field is missing in one answer of four",
        make: |a, n| {
            if n % 4 == 0 {
                json(a, &mut |v| drop_field(v))
            } else {
                applies(a, &mut |v| drop_field(v))
            }
        },
    },
    Fault {
        name: "a field is null",
        make: |a, _| json(a, &mut |v| field(v, |_| Value::Null)),
    },
    Fault {
        name: "a field has another name",
        make: |a, _| json(a, &mut rename),
    },
    Fault {
        name: "numbers are texts",
        make: |a, _| json(a, &mut |v| numbers(v, &|n| Value::String(n.to_string()))),
    },
    Fault {
        name: "numbers are zero",
        make: |a, _| json(a, &mut |v| numbers(v, &|_| 0.into())),
    },
    Fault {
        name: "numbers are negative",
        make: |a, _| json(a, &mut |v| numbers(v, &|n| float(-n.as_f64().unwrap_or(0.0)))),
    },
    Fault {
        name: "numbers are a hundred times as great",
        make: |a, _| json(a, &mut |v| numbers(v, &|n| float(n.as_f64().unwrap_or(0.0) * 100.0))),
    },
    Fault {
        name: "numbers have rounding errors",
        make: |a, _| {
            json(a, &mut |v| {
                numbers(v, &|n| float(n.as_f64().unwrap_or(0.0) + 0.000_000_1))
            })
        },
    },
    Fault {
        name: "a list is empty",
        make: |a, _| json(a, &mut |v| list(v, |_| Vec::new())),
    },
    Fault {
        name: "a list is empty in one answer of three",
        make: |a, n| {
            if n % 3 == 0 {
                json(a, &mut |v| list(v, |_| Vec::new()))
            } else {
                applies(a, &mut |v| list(v, |_| Vec::new()))
            }
        },
    },
    Fault {
        name: "a list has half of its elements",
        make: |a, _| json(a, &mut |v| list(v, |l| l[..l.len() / 2].to_vec())),
    },
    Fault {
        name: "a list is cut at its first element",
        make: |a, _| json(a, &mut |v| list(v, |l| l[..1].to_vec())),
    },
    Fault {
        name: "a list's elements are twice there",
        make: |a, _| json(a, &mut |v| list(v, |l| [l, l].concat())),
    },
    Fault {
        name: "a list is an object",
        make: |a, _| json(a, &mut to_object),
    },
    Fault {
        name: "texts are empty",
        make: |a, _| json(a, &mut |v| texts(v, &|_| String::new())),
    },
    Fault {
        name: "texts are cut",
        make: |a, _| json(a, &mut |v| texts(v, &|t| t.chars().take(1).collect())),
    },
    Fault {
        name: "truth values are turned round",
        make: |a, _| json(a, &mut flip),
    },
    Fault {
        name: "the body is empty",
        make: |a, _| {
            Some(Answer {
                body: Vec::new(),
                ..a.clone()
            })
        },
    },
    Fault {
        name: "the body is an error page",
        make: |a, _| {
            Some(Answer {
                media: "text/html".into(),
                body: b"<html><body><h1>Sorry</h1><p>Something went wrong.</p></body></html>".to_vec(),
                ..a.clone()
            })
        },
    },
    Fault {
        name: "the body is an error object",
        make: |a, _| {
            json(a, &mut |v| {
                *v = serde_json::json!({"ok": false, "error": "upstream"});
                true
            })
        },
    },
    Fault {
        name: "the body breaks off",
        make: |a, _| {
            (a.media.ends_with("json") && a.body.len() > 40).then(|| Answer {
                body: a.body[..a.body.len() / 2].to_vec(),
                ..a.clone()
            })
        },
    },
    Fault {
        name: "the answer is a redirect to a login",
        make: |a, _| {
            Some(Answer {
                status: 302,
                media: String::new(),
                body: Vec::new(),
                ..a.clone()
            })
        },
    },
    Fault {
        name: "rows of a page are missing",
        make: |a, _| markup(a, &["<tr", "<li"]),
    },
    Fault {
        name: "one number is off by one cent (same form and size)",
        make: |a, _| json(a, &mut |v| numbers(v, &cent)),
    },
    Fault {
        name: "a list is in another order (same form and size)",
        make: |a, _| json(a, &mut |v| list(v, |l| l.iter().rev().cloned().collect())),
    },
];

/// The faults that change neither structure nor form: nothing that looks at those alone can see them.
pub(crate) fn is_invisible(name: &str) -> bool {
    name.ends_with("(same form and size)")
}

fn float(n: f64) -> Value {
    Number::from_f64(n).map_or(Value::Null, Value::Number)
}

fn cent(n: &Number) -> Value {
    match n.as_i64() {
        Some(i) if i % 10 < 9 && i > 0 => (i + 1).into(),
        _ => Value::Number(n.clone()),
    }
}

fn json(answer: &Answer, change: &mut dyn FnMut(&mut Value) -> bool) -> Option<Answer> {
    let mut value: Value = serde_json::from_slice(&answer.body).ok()?;
    (change(&mut value)).then(|| Answer {
        body: serde_json::to_vec(&value).unwrap_or_default(),
        ..answer.clone()
    })
}

/// The answer as it is, if the change would apply to it.
fn applies(answer: &Answer, change: &mut dyn FnMut(&mut Value) -> bool) -> Option<Answer> {
    json(answer, change).map(|_| answer.clone())
}

/// The first object with at least two fields.
fn object(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if matches!(&*value, Value::Object(fields) if fields.len() >= 2) {
        return value.as_object_mut();
    }
    match value {
        Value::Object(fields) => fields.values_mut().find_map(object),
        Value::Array(all) => all.iter_mut().find_map(object),
        _ => None,
    }
}

/// Every object with the fields of the first one.
fn each(value: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) -> bool {
    let Some(keys) = object(value).map(|o| o.keys().cloned().collect::<Vec<_>>()) else {
        return false;
    };
    fn walk(value: &mut Value, keys: &[String], change: &mut dyn FnMut(&mut Map<String, Value>)) {
        match value {
            Value::Object(fields) => {
                if keys.iter().all(|k| fields.contains_key(k)) {
                    change(fields);
                }
                fields.values_mut().for_each(|v| walk(v, keys, change));
            }
            Value::Array(all) => all.iter_mut().for_each(|v| walk(v, keys, change)),
            _ => {}
        }
    }
    walk(value, &keys, change);
    true
}

fn last_key(fields: &Map<String, Value>) -> Option<String> {
    fields.keys().next_back().cloned()
}

fn drop_field(value: &mut Value) -> bool {
    each(value, &mut |fields| {
        if let Some(key) = last_key(fields) {
            fields.remove(&key);
        }
    })
}

fn field(value: &mut Value, make: fn(&Value) -> Value) -> bool {
    each(value, &mut |fields| {
        if let Some(key) = last_key(fields) {
            let new = make(&fields[&key]);
            fields.insert(key, new);
        }
    })
}

fn rename(value: &mut Value) -> bool {
    each(value, &mut |fields| {
        if let Some(key) = last_key(fields)
            && let Some(old) = fields.remove(&key)
        {
            fields.insert(format!("{key}_v"), old);
        }
    })
}

/// Changes every value of one kind; says whether there was one.
fn walk(value: &mut Value, change: &mut dyn FnMut(&mut Value) -> bool) -> bool {
    let mut found = change(value);
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|v| found |= walk(v, change)),
        Value::Array(all) => all.iter_mut().for_each(|v| found |= walk(v, change)),
        _ => {}
    }
    found
}

fn numbers(value: &mut Value, make: &dyn Fn(&Number) -> Value) -> bool {
    walk(value, &mut |v| {
        let Value::Number(n) = &*v else { return false };
        *v = make(n);
        true
    })
}

fn texts(value: &mut Value, make: &dyn Fn(&str) -> String) -> bool {
    walk(value, &mut |v| {
        let Value::String(t) = v else { return false };
        *t = make(t);
        true
    })
}

fn flip(value: &mut Value) -> bool {
    walk(value, &mut |v| {
        let Value::Bool(b) = v else { return false };
        *b = !*b;
        true
    })
}

/// The first list with at least two elements.
fn first_list(value: &mut Value) -> Option<&mut Vec<Value>> {
    if matches!(&*value, Value::Array(all) if all.len() >= 2) {
        return value.as_array_mut();
    }
    match value {
        Value::Array(all) => all.iter_mut().find_map(first_list),
        Value::Object(fields) => fields.values_mut().find_map(first_list),
        _ => None,
    }
}

fn list(value: &mut Value, make: impl Fn(&[Value]) -> Vec<Value>) -> bool {
    first_list(value).is_some_and(|all| {
        *all = make(all);
        true
    })
}

fn to_object(value: &mut Value) -> bool {
    match value {
        Value::Array(all) if all.len() >= 2 => {
            let fields = std::mem::take(all).into_iter().enumerate();
            *value = Value::Object(fields.map(|(i, v)| (format!("n{i}"), v)).collect());
            true
        }
        Value::Array(all) => all.iter_mut().any(to_object),
        Value::Object(fields) => fields.values_mut().any(to_object),
        _ => false,
    }
}

/// A page without the second half of its rows or items.
fn markup(answer: &Answer, tags: &[&str]) -> Option<Answer> {
    let text = std::str::from_utf8(&answer.body)
        .ok()
        .filter(|_| answer.media == "text/html")?;
    let tag = tags.iter().find(|tag| text.matches(**tag).count() >= 6)?;
    let places: Vec<usize> = text.match_indices(tag).map(|(at, _)| at).collect();
    let (from, to) = (places[places.len() / 2], *places.last()?);
    let body = [&text[..from], &text[to..]].concat().into_bytes();
    Some(Answer { body, ..answer.clone() })
}
