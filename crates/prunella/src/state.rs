//! stub
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
pub struct StateSpec { pub paths: Vec<PathBuf>, pub env_names: Vec<String> }
pub struct Entry { pub original_path: PathBuf, pub copy_path: PathBuf }
pub struct LeftOut { pub what: String, pub why: String }
pub struct StateCopy { pub entries: Vec<Entry>, pub env: BTreeMap<String,String>, pub left_out: Vec<LeftOut> }
impl StateSpec { pub fn of(c: &crate::config::Config, root: &Path) -> Self { Self { paths: c.state.paths.iter().map(|p| root.join(p)).collect(), env_names: vec![] } } }
pub async fn copy(spec: &StateSpec, _p: Option<&crate::supervise::Process>, dir: &Path) -> std::io::Result<StateCopy> {
    std::fs::create_dir_all(dir)?;
    let mut entries = vec![];
    for (n, p) in spec.paths.iter().enumerate() { if !p.exists() { continue; } let c = dir.join(n.to_string());
        let _ = std::fs::remove_file(&c);
        let o = sqlx::sqlite::SqliteConnectOptions::new().filename(p);
        use sqlx::ConnectOptions;
        let mut k = o.connect().await.map_err(std::io::Error::other)?;
        sqlx::query("VACUUM INTO ?").bind(c.to_string_lossy().into_owned()).execute(&mut k).await.map_err(std::io::Error::other)?;
        entries.push(Entry{original_path:p.clone(), copy_path:c}); }
    Ok(StateCopy{entries, env: BTreeMap::new(), left_out: vec![]})
}
