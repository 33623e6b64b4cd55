# Derivations of each kind. Input of make-derivations.sh.
let
  system = "x86_64-linux";
  builder = "/bin/sh";
  make = attributes: derivation ({ inherit system builder; } // attributes);

  source = builtins.toFile "source" "text";
  base = make { name = "base"; args = [ "-c" "echo > $out" ]; src = source; };
  multi = make { name = "multi"; outputs = [ "out" "dev" "doc" ]; inherit base; };
  aside = make { name = "aside"; outputs = [ "bin" "out" ]; inherit source; };

  fixed = name: algorithm: mode: hash: make {
    inherit name;
    outputHash = hash;
    outputHashAlgo = algorithm;
    outputHashMode = mode;
    url = "https://example.org/${name}";
  };
  flat = fixed "flat-1.0.tar.gz" "sha256" "flat" "0f3kfbhi1zfrgfzqajwhv8gmzd1mlnmlsh6pb4nqkl7kcx8i7i97";
  tree = fixed "tree" "sha256" "recursive" "0f3kfbhi1zfrgfzqajwhv8gmzd1mlnmlsh6pb4nqkl7kcx8i7i97";
  sha1 = fixed "sha1" "sha1" "flat" "da39a3ee5e6b4b0d3255bfef95601890afd80709";
  md5 = fixed "md5" "md5" "recursive" "d41d8cd98f00b204e9800998ecf8427e";
  sri = fixed "sri" null "flat" "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
  # The same content from another URL, so this input has the same hash.
  mirror = derivation (flat.drvAttrs // { url = "https://mirror.example.org/flat"; });

  strings = make {
    name = "strings";
    args = [ "" "a \"quoted\" \\ argument" "line\nreturn\rtab\tend" "\${dollar}" ];
    empty = "";
    unicode = "ü 💾 ￿ z";
    "🙂" = "past the sixteen bits";
    "￿" = "before it";
    list = [ 1 "two" source ];
    flag = true;
  };
  structured = make {
    name = "structured";
    __structuredAttrs = true;
    outputs = [ "out" "lib" ];
    nested = { deep = [ base.outPath multi.doc ]; };
  };
  whole = make { name = "whole"; drv = base.drvPath; inherit sha1 md5 sri; };
  top = make {
    name = "top";
    inherit flat mirror tree;
    buildInputs = [ multi.dev multi.doc aside ];
    other = aside.out;
  };

  floating = make {
    name = "floating";
    __contentAddressed = true;
    outputHashAlgo = "sha256";
    outputHashMode = "recursive";
    outputs = [ "out" "dev" ];
    inherit base;
  };
  deferred = make { name = "deferred"; input = floating.dev; };
  further = make { name = "further"; input = deferred; };
  impure = make {
    name = "impure";
    __impure = true;
    outputHashAlgo = "sha256";
    outputHashMode = "recursive";
  };
in
[ top strings structured whole further impure ]
