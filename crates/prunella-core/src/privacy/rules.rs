//! Credentials that show what they are: a fixed prefix, a fixed shape, or a frame such as `-----BEGIN`.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::{Finding, Kind};

/// (what it is, pattern). The first group is what is secret; without a group it is the whole match.
const RULES: &[(&str, &str)] = &[
    // Frames.
    (
        "private key",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    (
        "putty key",
        r"PuTTY-User-Key-File-\d[\s\S]{0,4000}?Private-MAC: [0-9a-f]+",
    ),
    ("age key", r"AGE-SECRET-KEY-1[0-9A-Z]{20,}"),
    (
        "json web token",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
    ),
    (
        "password in a url",
        r#"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s/:@"'`<>]{0,100}:([^\s/@"'`<>]{1,200})@"#,
    ),
    ("user token in a url", r#"\bhttps?://([^\s/:@"'`<>]{16,200})@"#),
    // Header fields.
    (
        "authorization",
        r#"(?i)\bauthorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token|digest|apikey|negotiate|aws4-hmac-sha256)\s+)?([^\s"',;)}\]]{6,}[^\r\n"']*)"#,
    ),
    ("bearer", r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9+/=._~-]{12,})"),
    (
        "cookie",
        r#"(?i)\b(?:set-)?cookie["']?\s*[:=]\s*["']?([A-Za-z0-9_.$-]+=[^\r\n"']{4,})"#,
    ),
    (
        "api key header",
        r#"(?i)\bx-[a-z-]*(?:key|token|secret|signature)["']?\s*[:=]\s*["']?([^\s"',;]{6,})"#,
    ),
    // Clouds.
    (
        "aws key id",
        r"\b(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|ANPA|ANVA|AGPA|AIPA)[A-Z0-9]{12,}",
    ),
    (
        "aws session token",
        r"\b(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9+/=]{40,}",
    ),
    ("bedrock key", r"\bABSK[A-Za-z0-9+/]{60,}=*"),
    ("google api key", r"\bAIza[0-9A-Za-z_-]{30,}"),
    ("google oauth", r"\bya29\.[0-9A-Za-z_-]{20,}"),
    ("google client secret", r"\bGOCSPX-[0-9A-Za-z_-]{20,}"),
    (
        "azure storage",
        r"(?i)\b(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{20,}={0,2})",
    ),
    ("azure sas", r"(?i)[?&]sig=([A-Za-z0-9%+/=]{20,})"),
    ("azure client secret", r"\b[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{30,}"),
    ("digitalocean", r"\bdo[opr]_v1_[a-f0-9]{40,}"),
    ("alibaba", r"\bLTAI[A-Za-z0-9]{12,}"),
    ("tencent", r"\bAKID[A-Za-z0-9]{28,}"),
    ("yandex", r"\b(?:AQVN[A-Za-z0-9_-]{30,}|t1\.[A-Z0-9a-z_-]{40,})"),
    ("cloudflare origin", r"\bv1\.0-[a-f0-9]{20,}-[a-f0-9]{100,}"),
    ("fly", r"\b(?:FlyV1 fm\d_|fm\d_|fo1_)[A-Za-z0-9+/=_-]{40,}"),
    ("heroku", r"\bHRKU-[A-Za-z0-9_-]{30,}"),
    ("vercel", r"\bvc[apirk]_[A-Za-z0-9]{20,}"),
    ("scaleway", r"\bSCW[A-Z0-9]{17}\b"),
    // Forges and registries.
    (
        "github",
        r"\b(?:gh[opsru]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})",
    ),
    (
        "gitlab",
        r"\bgl(?:pat|dt|rt|ptt|soat|cbt|agent|ffct|imt|oas|ft)-[A-Za-z0-9_.-]{18,}",
    ),
    ("bitbucket", r"\bATBB[A-Za-z0-9]{20,}"),
    ("atlassian", r"\bATATT3[A-Za-z0-9_=-]{40,}"),
    ("npm", r"\bnpm_[A-Za-z0-9]{30,}"),
    (
        "npm auth",
        r#"(?i)_(?:authToken|auth|password)\s*=\s*["']?([^\s"']{8,})"#,
    ),
    ("pypi", r"\bpypi-[A-Za-z0-9_-]{40,}"),
    ("crates.io", r"\bcio[A-Za-z0-9]{32}\b"),
    ("rubygems", r"\brubygems_[a-f0-9]{40,}"),
    ("nuget", r"\boy2[a-z0-9]{43}\b"),
    ("docker hub", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    ("artifactory", r"\b(?:AKCp|cmVmdGtu)[A-Za-z0-9]{50,}"),
    ("clojars", r"\bCLOJARS_[a-z0-9]{50,}"),
    // Models.
    ("anthropic", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    (
        "openai",
        r"\bsk-(?:proj-|svcacct-|admin-|None-|or-v1-)?[A-Za-z0-9_-]{20,}",
    ),
    ("hugging face", r"\b(?:hf_|api_org_)[A-Za-z]{30,}"),
    ("groq", r"\bgsk_[A-Za-z0-9]{40,}"),
    ("xai", r"\bxai-[A-Za-z0-9]{40,}"),
    ("perplexity", r"\bpplx-[A-Za-z0-9]{40,}"),
    ("replicate", r"\br8_[A-Za-z0-9]{30,}"),
    (
        "wandb or langsmith",
        r"\b(?:lsv2_(?:pt|sk)_[a-f0-9_]{30,}|wandb_v1_[A-Za-z0-9_]{30,})",
    ),
    // Payments.
    ("stripe", r"\b(?:sk|rk|pk)_(?:live|test|prod)_[A-Za-z0-9]{10,}"),
    ("webhook secret", r"\bwhsec_[A-Za-z0-9+/=]{20,}"),
    ("square", r"\b(?:sq0[a-z]{3}-[A-Za-z0-9_-]{20,}|EAAA[A-Za-z0-9_-]{55,})"),
    ("shopify", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{30,}"),
    (
        "paypal",
        r"\baccess_token\$(?:production|sandbox)\$[a-z0-9]{10,}\$[a-f0-9]{30,}",
    ),
    ("razorpay", r"\brzp_(?:live|test)_[A-Za-z0-9]{12,}"),
    ("plaid", r"\baccess-(?:sandbox|development|production)-[a-f0-9-]{30,}"),
    ("flutterwave", r"\bFLW(?:SECK|PUBK)(?:_TEST)?-[a-hA-H0-9]{12,}"),
    // Messages.
    (
        "slack",
        r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Za-z0-9-]{10,}|\bxoxe\.xox[bp]-\d-[A-Za-z0-9]{20,}",
    ),
    (
        "slack webhook",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{20,})",
    ),
    (
        "discord",
        r"\b[MNO][A-Za-z\d_-]{23,27}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,}",
    ),
    (
        "discord webhook",
        r"discord(?:app)?\.com/api/webhooks/(\d+/[A-Za-z0-9_-]{20,})",
    ),
    ("teams webhook", r"webhook\.office\.com/([A-Za-z0-9@/_-]{40,})"),
    ("telegram", r"\b\d{8,10}:AA[A-Za-z0-9_-]{30,}"),
    ("twilio", r"\b(?:AC|SK)[a-f0-9]{32}\b"),
    ("sendgrid", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{20,}"),
    ("mailgun", r"\bkey-[a-f0-9]{32}\b"),
    ("mailchimp", r"\b[a-f0-9]{32}-us\d{1,2}\b"),
    ("brevo", r"\bxkeysib-[a-f0-9]{40,}-[A-Za-z0-9]+"),
    ("postman", r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{30,}"),
    ("mapbox", r"\b[ps]k\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{10,}"),
    ("facebook", r"\bEAA[A-Za-z0-9]{40,}"),
    // Operations.
    (
        "vault",
        r"\b(?:hvs|hvb|hvr)\.[A-Za-z0-9_-]{20,}|\b[sbr]\.[A-Za-z0-9]{24}\b",
    ),
    ("terraform cloud", r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}"),
    ("pulumi", r"\bpul-[a-f0-9]{40}\b"),
    ("grafana", r"\bgl(?:c|sa)_[A-Za-z0-9+/_=]{30,}"),
    ("new relic", r"\bNR(?:AK|JS|II|IQ|RA|SP|BR)-[A-Za-z0-9_-]{15,}"),
    ("datadog", r"\bdd(?:api|app)_[A-Za-z0-9]{30,}|\bddp_[A-Za-z0-9]{30,}"),
    ("sentry", r"\bsntry[su]_[A-Za-z0-9+/=_-]{30,}"),
    ("sentry dsn", r"https?://([a-f0-9]{32})(?::[a-f0-9]{32})?@"),
    ("dynatrace", r"\bdt0[a-z]\d{2}\.[A-Z0-9]{20,}\.[A-Z0-9]{40,}"),
    ("databricks", r"\bdapi[a-f0-9]{32}(?:-\d)?\b"),
    ("planetscale", r"\bpscale_(?:tkn|oauth|pw)_[A-Za-z0-9_.=-]{30,}"),
    ("supabase", r"\bsb(?:p|_secret|_publishable)_[A-Za-z0-9_]{20,}"),
    ("doppler", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{30,}"),
    (
        "onepassword",
        r"\b(?:ops_eyJ[A-Za-z0-9+/=]{50,}|A3-[A-Z0-9]{6}-[A-Z0-9-]{20,})",
    ),
    ("linear", r"\blin_(?:api|oauth)_[A-Za-z0-9]{30,}"),
    ("notion", r"\b(?:secret_[A-Za-z0-9]{40,}|ntn_[A-Za-z0-9]{40,})"),
    ("airtable", r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{60,}"),
    ("asana", r"\b[012]/\d{14,}(?::|/\d{10,}:)[a-f0-9]{30,}"),
    ("figma", r"\bfig[du]_[A-Za-z0-9_-]{30,}"),
    ("dropbox", r"\bsl\.[A-Za-z0-9_-]{60,}"),
    (
        "launchdarkly",
        r"\b(?:api|sdk|mob)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\b",
    ),
    ("circleci", r"\bCCIP(?:AT|RJ)_[A-Za-z0-9_]{30,}"),
    ("buildkite", r"\bbk(?:ua|at|ct)_[a-f0-9]{30,}"),
    ("netlify", r"\bnf[puc]_[A-Za-z0-9]{30,}"),
    ("tailscale", r"\btskey-[a-z]+-[A-Za-z0-9-]{15,}"),
    (
        "duffel, ramp and their kin",
        r"\b(?:duffel|ramp|frameio|easypost|EZAK|EZTK)_?(?:live|test|sec)?[_-][A-Za-z0-9_=-]{25,}",
    ),
    // Passwords in command lines and hashes of passwords.
    (
        "curl user",
        r#"\bcurl\b[^\n]{0,300}?\s(?:-u|--user)[ =]["']?[^\s:"']+:([^\s"']+)"#,
    ),
    (
        "command line password",
        r#"(?i)\s--?(?:password|passwd|pass|pwd|token|secret|api-?key)[= ]["']?([^\s"'\-][^\s"']{3,})"#,
    ),
    ("mysql password", r"\bmysql\w*\b[^\n]{0,200}?\s-p([^\s]{4,})"),
    (
        "password hash",
        r"\$(?:2[abxy]|argon2(?:id|i|d)|5|6|y|scrypt|pbkdf2[a-z0-9-]*)\$[A-Za-z0-9./$,=+_-]{20,}",
    ),
    ("pgpass or dsn password", r#"(?i)\b(?:password|pwd)=([^\s;"'&]{3,})"#),
    ("netrc", r"(?im)^\s*(?:machine\s+\S+\s+)?login\s+\S+\s+password\s+(\S+)"),
];

struct Compiled {
    set: RegexSet,
    each: Vec<Regex>,
}

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let patterns = || RULES.iter().map(|(_, pattern)| pattern);
    Compiled {
        set: RegexSet::new(patterns()).expect("the rules are a constant, and a test compiles them"),
        each: patterns()
            .map(|pattern| Regex::new(pattern).expect("the rules are a constant, and a test compiles them"))
            .collect(),
    }
});

/// Credentials by their own shape.
pub(super) fn find(text: &str) -> Vec<Finding> {
    let compiled = &*COMPILED;
    let mut found = Vec::new();
    for index in compiled.set.matches(text) {
        for captures in compiled.each[index].captures_iter(text) {
            let Some(secret) = captures.get(1).or_else(|| captures.get(0)) else {
                continue;
            };
            found.push(Finding {
                span: secret.range(),
                kind: Kind::Secret,
                rule: RULES[index].0,
            });
        }
    }
    found
}
