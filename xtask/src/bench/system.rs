//! What Linux says about processes and the machine, from /proc.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::stats;

/// How often the disk is asked to write through when its latency is measured.
const SYNCS: usize = 200;

/// `roots` and all their descendants.
pub(super) fn process_tree(roots: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = stat_field(pid, PARENT) {
            children.entry(u32::try_from(parent).unwrap_or_default()).or_default().push(pid);
        }
    }
    let mut tree = roots.to_vec();
    let mut next = 0;
    while let Some(pid) = tree.get(next) {
        tree.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    tree
}

/// Bytes of memory of these processes; what several share is counted once.
///
/// # Errors
/// When one of them may not be looked at.
pub(super) fn memory(processes: &[u32]) -> Result<u64> {
    let mut kib = 0;
    for pid in processes {
        // A process that ended meanwhile has no memory.
        if fs::metadata(format!("/proc/{pid}")).is_err() {
            continue;
        }
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .with_context(|| format!("cannot read the memory of process {pid}"))?;
        let pss = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        kib += pss.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(kib * 1024)
}

/// Bytes that the kernel holds in buffers of all TCP sockets; both ends of a local connection count.
pub(super) fn socket_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/sockstat").ok()?;
    let tcp = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let pages: u64 = tcp.split_whitespace().skip_while(|word| *word != "mem").nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Processor time that these processes used, with that of their ended children.
pub(super) fn processor_time(processes: &[u32]) -> Duration {
    let ticks: u64 =
        processes.iter().flat_map(|&pid| CPU_TIMES.map(|field| stat_field(pid, field))).flatten().sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Numbers of fields after the name in `/proc/PID/stat`: proc(5) counts two more, from 1.
const PARENT: usize = 1;
const CPU_TIMES: [usize; 4] = [11, 12, 13, 14];

fn stat_field(pid: u32, field: usize) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets; it ends at the last one.
    text.rsplit_once(") ")?.1.split(' ').nth(field)?.parse().ok()
}

/// Lines about this machine for the head of the table.
pub(super) fn describe_machine() -> Result<Vec<String>> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let mut lines = vec![format!("{cores} cores ({})", model.map_or("unknown", |(_, name)| name))];
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    lines.push(format!("load before: {}", load.split(' ').next().unwrap_or("unknown")));
    let (median, p99) = sync_latency()?;
    lines.push(format!("fdatasync after 4 KiB in {}: median {median:.2} ms, p99 {p99:.2} ms", temp_dir()));
    lines.push(first_line("uname", &["-sr"]));
    lines.push(first_line("rustc", &["--version"]));
    Ok(lines)
}

/// The first line that a program prints.
pub(super) fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn temp_dir() -> String {
    std::env::temp_dir().display().to_string()
}

/// Median and 99th percentile in milliseconds.
fn sync_latency() -> Result<(f64, f64)> {
    let mut file = tempfile::tempfile().context("no temporary file")?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[7; 4096])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(stats::ms(begun.elapsed()));
    }
    Ok((stats::median(&times), stats::percentile(&times, 99)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_belongs_to_the_tree_and_uses_memory() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let tree = process_tree(&[std::process::id()]);
        assert!(tree.contains(&child.id()) && tree[0] == std::process::id());
        assert!(memory(&[std::process::id()]).unwrap() > 100_000);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
