//! `cargo xtask tidy`: the rules of the source tree that no compiler knows.
//!
//! Who may depend on whom is in `dependencies`, pointers into RFCs in `rfc`, the ratchets of file and function
//! length in `sizes`, what may not stand in the code at all in `words`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args as ClapArgs;

use crate::process;

mod dependencies;
mod rfc;
mod sizes;
mod source;
mod words;

use source::SourceFile;

#[derive(ClapArgs, Default)]
pub(crate) struct Args {
    /// Write `xtask/rfc-sections.txt` from the RFC texts instead of checking anything
    #[arg(long)]
    write_rfc_index: bool,
}

/// `cargo xtask tidy`
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let root = process::workspace_root();
    if args.write_rfc_index {
        rfc::write_index(&root)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = check(&root)?;
    for note in &report.notes {
        eprintln!("note: {note}");
    }
    for fault in &report.faults {
        eprintln!("error: {fault}");
    }
    if report.faults.is_empty() {
        eprintln!("xtask: the tree is tidy");
        Ok(ExitCode::SUCCESS)
    } else {
        eprintln!("xtask: {} things to tidy", report.faults.len());
        Ok(ExitCode::FAILURE)
    }
}

/// What the checks found.
#[derive(Default)]
struct Report {
    /// What must be changed.
    faults: Vec<String>,
    /// What is worth knowing and allowed.
    notes: Vec<String>,
}

fn check(root: &Path) -> Result<Report> {
    let mut report = Report::default();
    let workspace = dependencies::Workspace::read()?;
    report.faults.extend(workspace.faults());
    let files = read_sources(root)?;
    for krate in workspace.crate_roots() {
        report.faults.extend(words::missing_crate_doc(root, &krate)?);
    }
    report.faults.extend(files.iter().flat_map(words::unfinished));
    sizes::check(&files, sizes::GRANDFATHERED, &mut report);
    let index = rfc::Index::load(root, &mut report.notes)?;
    rfc::check(&files, &index, &mut report);
    Ok(report)
}

/// Every `.rs` file of the tree except what is built.
fn read_sources(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                files.push(read_source(root, path)?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_source(root: &Path, path: PathBuf) -> Result<SourceFile> {
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let short = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
    Ok(SourceFile::new(short, &text))
}
