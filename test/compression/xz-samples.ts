/** What make-xz-samples.sh made, by the SHA-256 of the content. */
export const XZ_SAMPLES: Readonly<Record<string, readonly string[]>> = {
  // The instructions.
  "99c406a05e1b19f7b0b6c7224bf43324e6b922a348b28cefa0029df92cdf71c6": [
    "x86.xz",
    "arm.xz",
    "armthumb.xz",
    "arm64.xz",
    "powerpc.xz",
    "ia64.xz",
    "sparc.xz",
    "riscv.xz",
    "delta-dist-1.xz",
    "delta-dist-256.xz",
    "start.xz",
    "chain.xz",
  ],
  // `seq 1 25000`.
  ea1a1773610d0161250bea9ada39805a89b51940d2d7e870ce0b72d54c41729b: [
    "none.xz",
    "sha256.xz",
    "dictionary-96.xz",
    "properties.xz",
    "properties-96.xz",
    "sizes.xz",
    "both.xz",
  ],
  // Lines and hashes.
  "8ae93ab52db045c3b3a71a6d6046381e3d295b6a39dadd6072eae9a50b3ed2a0": ["stored-8.xz", "stored-96.xz"],
  // Cycles of 3200 bytes.
  c19936bfbfda6c19ff379a029ba99ae2f36b8e62324557478cde5ac883982a4c: ["cycles-4.xz", "cycles-96.xz"],
};
