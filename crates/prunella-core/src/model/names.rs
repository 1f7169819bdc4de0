//! Which names, calls and arguments go together.
//!
//! *Signals*: the tokens of source files.
//! *Method*: of each call the words that stand as its arguments, by place, and of each member access the word before the
//! dot with the member. How much likelier a name is in its place than anywhere is its pointwise mutual information.
//! *Source*: Pradel and Sen, "DeepBugs" (OOPSLA 2018), for names as a sign of swapped arguments and wrong operands; here
//! they are counted, not learnt by a network.

use super::counts::{is_word, token};
use crate::mix::{HashIndex, mix};

/// The most pairs that are kept; later ones are not learnt.
pub const MAX_PAIRS: usize = 2_000_000;
/// Arguments of one call that are looked at, and tokens of one call.
const MAX_ARGUMENTS: usize = 8;
const MAX_CALL: usize = 400;
/// The place of a member after its object.
const MEMBER: u64 = 99;
/// Observations that even the likeliest pair is doubted by.
const DOUBT: f64 = 0.5;

/// One use of a name that says something. Names are the numbers of their tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameUse {
    /// The function that is called, or the object whose member is taken.
    pub of: u64,
    /// Which argument, from 0; `None` for a member.
    pub place: Option<usize>,
    /// The argument's or member's name.
    pub name: u64,
}

/// Counts of names that stand together.
#[derive(Clone, Debug, Default)]
pub struct Company {
    pairs: HashIndex<u32>,
    places: HashIndex<u32>,
    names: HashIndex<u32>,
    uses: u64,
}

impl Company {
    /// Learns the uses in a file.
    pub fn learn(&mut self, tokens: &[u64]) {
        for used in uses(tokens) {
            let (place, name) = keys(&used);
            let pair = mix(place, name);
            if self.pairs.len() >= MAX_PAIRS && !self.pairs.contains_key(&pair) {
                continue;
            }
            self.uses += 1;
            for (table, key) in [
                (&mut self.pairs, pair),
                (&mut self.places, place),
                (&mut self.names, name),
            ] {
                let count = table.entry(key).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// How many uses were learnt.
    #[must_use]
    pub fn uses(&self) -> u64 {
        self.uses
    }

    /// How many different pairs are known.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// How well a name fits its place, in bits; 0 where nothing is known of the place, negative where others stand there.
    #[must_use]
    pub fn fit(&self, used: &NameUse) -> f64 {
        let (place, name) = keys(used);
        let get = |table: &HashIndex<u32>, key: u64| table.get(&key).copied().map_or(0.0, f64::from);
        let (at_place, of_name) = (get(&self.places, place), get(&self.names, name));
        if at_place < 1.0 {
            return 0.0;
        }
        #[allow(clippy::cast_precision_loss, reason = "a share")]
        let share = (of_name + DOUBT) / (self.uses as f64 + 1.0);
        let here = (get(&self.pairs, mix(place, name)) + DOUBT * share) / (at_place + DOUBT);
        (here / share).log2().clamp(-8.0, 8.0)
    }

    /// The sum of how well the names in these tokens fit, in bits.
    #[must_use]
    pub fn fits(&self, tokens: &[u64]) -> f64 {
        uses(tokens).iter().map(|used| self.fit(used)).sum()
    }
}

fn keys(used: &NameUse) -> (u64, u64) {
    let place = used.place.map_or(MEMBER, |place| place as u64);
    (mix(used.of, place), used.name)
}

/// The signs that calls and members are told by.
struct Signs {
    open: [u64; 3],
    close: [u64; 3],
    comma: u64,
    path: [u64; 5],
    members: [u64; 3],
}

impl Signs {
    fn new() -> Self {
        Self {
            open: ["(", "[", "{"].map(token),
            close: [")", "]", "}"].map(token),
            comma: token(","),
            path: [".", "?.", "->", "&", "*"].map(token),
            members: [".", "?.", "->"].map(token),
        }
    }
}

/// The uses in a piece of code.
#[must_use]
pub fn uses(tokens: &[u64]) -> Vec<NameUse> {
    let signs = Signs::new();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| is_word(**token)) {
        let Some(next) = tokens.get(at + 1) else { break };
        if *next == signs.open[0] {
            arguments(*token, &tokens[at + 2..], &signs, &mut found);
        } else if signs.members.contains(next)
            && let Some(member) = tokens.get(at + 2).filter(|member| is_word(**member))
        {
            found.push(NameUse {
                of: *token,
                place: None,
                name: *member,
            });
        }
    }
    found
}

/// The arguments of a call that are a name or a path of names; the last name of the path counts.
fn arguments(of: u64, tokens: &[u64], signs: &Signs, found: &mut Vec<NameUse>) {
    let (mut depth, mut place) = (0_usize, 0);
    let mut name = None;
    let mut is_path = true;
    for token in tokens.iter().take(MAX_CALL) {
        let ends = *token == signs.close[0];
        if depth == 0 && (ends || *token == signs.comma) {
            if let (Some(name), true) = (name, is_path) {
                found.push(NameUse {
                    of,
                    place: Some(place),
                    name,
                });
            }
            place += 1;
            if ends || place >= MAX_ARGUMENTS {
                return;
            }
            (name, is_path) = (None, true);
        } else if signs.open.contains(token) {
            (depth, is_path) = (depth + 1, false);
        } else if signs.close.contains(token) {
            depth = depth.saturating_sub(1);
        } else if is_word(*token) && depth == 0 {
            name = Some(*token);
        } else if !signs.path.contains(token) {
            is_path = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens that are split by blanks.
    fn tokens(text: &str) -> Vec<u64> {
        text.split(' ').map(token).collect()
    }

    #[test]
    fn arguments_and_members_are_found() {
        let found = uses(&tokens("area ( box . width , max ( a , 1 ) , height )"));
        let found: Vec<_> = found.iter().map(|u| (u.of, u.place, u.name)).collect();
        let wanted = [
            ("area", Some(0), "width"),
            ("area", Some(2), "height"),
            ("box", None, "width"),
            ("max", Some(0), "a"),
        ];
        assert_eq!(found, wanted.map(|(of, place, name)| (token(of), place, token(name))));
    }

    #[test]
    fn swapped_arguments_fit_worse() {
        let mut company = Company::default();
        for _ in 0..5 {
            company.learn(&tokens("resize ( width , height ) ; crop ( height , width )"));
        }
        let fits = |text: &str| company.fits(&tokens(text));
        assert!(fits("resize ( width , height )") > fits("resize ( height , width )") + 2.0);
        assert_eq!(fits("unheard ( of , it )"), 0.0);
        assert_eq!(company.pairs(), 4);
    }
}
