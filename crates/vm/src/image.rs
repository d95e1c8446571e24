//! The cached image: kernel, initial RAM disk and root file system, built once per recipe. In comes a cache directory, out
//! come files that nobody writes again.

use crate::{Machine, Mode, Options, VmError, machine::succeeded, recipe};
use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Labelling is a few seconds of work on thousands of files, under emulation a minute or two.
const FINISH_WITHIN: Duration = Duration::from_secs(600);
/// Mode of an image's directory: whoever may read the cache may boot from it.
const READABLE: u32 = 0o755;
/// Lines of a failed program's output in an error.
const SAID_LINES: usize = 30;

/// An image that is whole.
#[derive(Debug, Clone)]
pub struct Image {
    directory: PathBuf,
}

impl Image {
    /// The image of the recipe, from the cache or built now. `say` hears what takes long.
    pub fn ready(cache: &Path, say: &dyn Fn(&str)) -> Result<Self, VmError> {
        fs::create_dir_all(cache).map_err(VmError::file(cache))?;
        let cache = cache.canonicalize().map_err(VmError::file(cache))?;
        let digest = recipe::digest();
        let image = Self { directory: cache.join(&digest) };
        // Whoever comes second waits for the first and finds it done.
        let lock = cache.join(format!("{digest}.lock"));
        let held = File::create(&lock).map_err(VmError::file(&lock))?;
        held.lock().map_err(VmError::file(&lock))?;
        if !image.disk().exists() {
            // A name of its own: what a killed builder left may still be written.
            let prefix = format!("draft-{digest}-");
            sweep(&cache, &prefix);
            let draft = tempfile::Builder::new().prefix(&prefix).tempdir_in(&cache).map_err(VmError::file(&cache))?;
            let permissions = fs::Permissions::from_mode(READABLE);
            fs::set_permissions(draft.path(), permissions).map_err(VmError::file(draft.path()))?;
            build(&Self { directory: draft.path().to_owned() }, say)?;
            fs::rename(draft.keep(), &image.directory).map_err(VmError::file(&image.directory))?;
        }
        Ok(image)
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
    /// The root file system, without partitions.
    pub fn disk(&self) -> PathBuf {
        self.directory.join("disk.img")
    }
    /// The kernel.
    pub fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }
    /// The initial RAM disk.
    pub fn initrd(&self) -> PathBuf {
        self.directory.join("initrd")
    }
    /// Packages and versions that are in it.
    pub fn packages(&self) -> PathBuf {
        self.directory.join("packages.txt")
    }
}

/// Removes what killed builders of this image left: whoever holds its lock is the only one that builds it.
fn sweep(cache: &Path, prefix: &str) {
    let left = fs::read_dir(cache).into_iter().flatten().flatten();
    for entry in left.filter(|e| e.file_name().to_string_lossy().starts_with(prefix)) {
        let _ = fs::remove_dir_all(entry.path());
    }
}

fn build(image: &Image, say: &dyn Fn(&str)) -> Result<(), VmError> {
    say("installing Debian's packages into an image");
    let out = image.directory();
    let (masked, disabled) = (recipe::MASKED.join("\n"), recipe::DISABLED.join("\n"));
    let files = [
        ("agent.sh", recipe::AGENT),
        ("agent.service", recipe::AGENT_UNIT),
        ("customize.sh", recipe::CUSTOMIZE),
        ("masked", masked.as_str()),
        ("disabled", disabled.as_str()),
        ("size", recipe::DISK),
    ];
    for (name, content) in files {
        let path = out.join(name);
        fs::write(&path, content).map_err(VmError::file(&path))?;
    }
    // In the hooks, $1 is the root; what they see of ours comes through the environment, as paths may hold anything.
    let modules = format!(
        "mkdir -p \"$1/etc/initramfs-tools/conf.d\" && echo MODULES=list >\"$1/etc/initramfs-tools/conf.d/lab\" && printf '%s\\n' {} >\"$1/etc/initramfs-tools/modules\"",
        recipe::INITIAL_MODULES.join(" ")
    );
    let mut command = if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        // As root it mounts and runs the packages' scripts in our own namespaces: these end with it, whatever ends it.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "mmdebstrap"]);
        command
    } else {
        Command::new("mmdebstrap")
    };
    command.env("RAVELIN_VM_OUT", out).arg("--format=null").args(recipe::OPTIONS);
    command.arg(format!("--include={}", recipe::PACKAGES.join(",")));
    command.arg(format!("--essential-hook={modules}"));
    command.arg("--customize-hook=sh \"$RAVELIN_VM_OUT/customize.sh\" \"$1\" \"$RAVELIN_VM_OUT\"");
    command.args([recipe::SUITE, "/dev/null"]);
    finished("mmdebstrap", &mut command)?;

    say("labelling its files in a first boot");
    let options = Options { mode: Mode::Permissive, boot_within: FINISH_WITHIN, ..Options::default() };
    let mut machine = Machine::start(image, &image.disk(), "raw", out, &options)?;
    let ran = machine.run_within(recipe::FINISH, FINISH_WITHIN)?;
    succeeded(&ran, "labelling")?;
    if !ran.text().contains("shadow_t") {
        return Err(VmError::Image(format!("its files have no labels: {}", ran.said())));
    }
    machine.power_off()?;
    let disk = image.disk();
    let mut permissions = fs::metadata(&disk).map_err(VmError::file(&disk))?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&disk, permissions).map_err(VmError::file(&disk))
}

/// Runs a program to its end; a failure shows the end of what it said.
pub(crate) fn finished(program: &'static str, command: &mut Command) -> Result<(), VmError> {
    let out = command.stdin(Stdio::null()).output().map_err(|source| VmError::Spawn { program, source })?;
    if out.status.success() {
        return Ok(());
    }
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let lines: Vec<&str> = said.lines().collect();
    Err(VmError::Command { program, said: lines[lines.len().saturating_sub(SAID_LINES)..].join("\n") })
}
