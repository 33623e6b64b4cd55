/** Begins a Nix expression: `build NAME SCRIPT` is a derivation whose script /bin/sh runs. */
export const LET_BUILD = `
let build = name: script: derivation {
  inherit name;
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" script ];
};
`;

/** A directory that refers to a file. */
export const NESTED_CLOSURE = `${LET_BUILD}
in build "outer" "/bin/mkdir -p $out/a/b; echo \${build "inner" "echo inner > $out"} $out > $out/a/b/c; echo > $out/d"
`;
