//! Structures of answers: from the gateway's form, and from a recorded body, to the one that is judged.

use prunella_core::id::ReleaseId;
use prunella_core::signal::{Place, ResponseShape, Role};
use prunella_gateway::control::{self, Capture, ShapeRow};
use prunella_gateway::shape::{BodyShape, Node, Shaper, media_of, target_hash};

fn place(node: Node) -> Place {
    Place {
        at: node.at,
        nulls: node.nulls,
        bools: node.bools,
        trues: node.trues,
        numbers: node.numbers,
        zeros: node.zeros,
        negatives: node.negatives,
        fractions: node.fractions,
        long_fractions: node.long_fractions,
        exponents: node.exponents,
        strings: node.strings,
        forms: node.forms,
        arrays: node.arrays,
        objects: node.objects,
        empty: node.empty,
        size: node.size,
    }
}

fn role(role: control::Role) -> Role {
    match role {
        control::Role::Primary => Role::Primary,
        control::Role::Canary => Role::Canary,
        control::Role::Fallback => Role::Fallback,
    }
}

/// What is known of an answer beside its body.
struct Around {
    at_ms: i64,
    release: ReleaseId,
    route: String,
    role: Role,
    status: u16,
    media: String,
    target: u32,
}

fn of_body(around: Around, body: BodyShape) -> ResponseShape {
    ResponseShape {
        at_ms: around.at_ms,
        release: around.release,
        route: around.route,
        role: around.role,
        status: around.status,
        media: around.media,
        target: around.target,
        bytes: body.bytes,
        complete: body.complete,
        sound: body.sound,
        hash: body.hash,
        places: body.nodes.into_iter().map(place).collect(),
    }
}

/// What the gateway saw; `None` if the release has no name of ours.
#[must_use]
pub fn of_row(at_ms: i64, row: ShapeRow) -> Option<ResponseShape> {
    let around = Around {
        at_ms,
        release: ReleaseId::parse(row.release).ok()?,
        route: row.route,
        role: role(row.role),
        status: row.status,
        media: row.media,
        target: row.target,
    };
    Some(of_body(around, row.body))
}

/// The structure of an answer's body as the probe or a capture has it; `whole` if the body is there to its end.
#[must_use]
pub fn of_answer(status: u16, content_type: Option<&str>, uri: &str, body: &[u8], whole: bool) -> ResponseShape {
    let media = media_of(content_type);
    let around = Around {
        at_ms: 0,
        release: ReleaseId::parse("sandbox").expect("a plain word is a name"),
        route: String::new(),
        role: Role::Primary,
        status,
        target: target_hash(uri),
        media,
    };
    let shape = Shaper::of(&around.media, body, whole);
    of_body(around, shape)
}

/// The structure of a recorded answer, if its body was recorded.
#[must_use]
pub fn of_capture(capture: &Capture) -> Option<ResponseShape> {
    let response = capture.response.as_ref()?;
    let content_type = response
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let whole = response.body.is_complete();
    let shape = of_answer(
        response.status,
        content_type.map(|(_, value)| value.as_str()),
        &capture.uri,
        &response.body.bytes(),
        whole,
    );
    Some(shape)
}
