# Derivations that Nix 2.8 can't make. Input of make-nix-2.34.sh.
let
  make = attributes: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // attributes);
  output = name: mode: algorithm: make {
    inherit name;
    __contentAddressed = true;
    outputHashMode = mode;
    outputHashAlgo = algorithm;
  };
  fixed = name: mode: hash: make {
    inherit name;
    outputHashMode = mode;
    outputHash = hash;
  };
  # Their outputs are .drv files: one that is built first, and one whose content is known.
  produced = output "produced.drv" "text" "sha256";
  known = fixed "known.drv" "text" "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
  outputOf = names: builtins.foldl' builtins.outputOf (builtins.head names).outPath (builtins.tail names);
  dynamic = make { name = "dynamic"; a = outputOf [ produced "out" ]; };
  dynamic-known = make { name = "dynamic-known"; outputs = [ "out" "dev" ]; a = outputOf [ known "out" ]; };
in
[
  produced
  known
  dynamic
  dynamic-known
  (make {
    name = "dynamic-several";
    several = map outputOf [
      [ produced "out" ]
      [ produced "dev" ]
      [ known "out" ]
      [ produced "b" "z" ]
      [ produced "b" "Z" ]
      [ produced "a" "out" ]
      [ produced "10" "2" ]
      [ produced "9" "2" "10" ]
      [ produced "__proto__" "__proto__" "__proto__" ]
      [ produced "a+b" "a.b" "a-b" "a_b" "a?b" "a=b" ]
    ];
    plain = [ produced known (fixed "fixed-git" "git" "sha1-S4JdxkLLbrmgYOVL+NaSiPv49IE=") ];
    source = builtins.toFile "source" "content";
  })
  (make {
    name = "dynamic-structured";
    __structuredAttrs = true;
    a = outputOf [ known "out" "dev" ];
  })
  (make {
    name = "dynamic-floating";
    __contentAddressed = true;
    outputHashMode = "nar";
    outputHashAlgo = "sha256";
    a = outputOf [ known "out" ];
  })
  (make {
    name = "dynamic-fixed";
    outputHashMode = "nar";
    outputHash = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    a = outputOf [ produced "out" ];
  })
  (make { name = "below-dynamic"; a = dynamic; })
  (make { name = "below-dynamic-known"; a = dynamic-known.dev; b = outputOf [ known "dev" ]; })
  (output "floating-git" "git" "sha1")
  (output "floating-blake3" "nar" "blake3")
  (output "floating-text" "text" "sha256")
  (fixed "fixed-git" "git" "sha1-S4JdxkLLbrmgYOVL+NaSiPv49IE=")
  (fixed "fixed-blake3" "nar" "blake3-jkx8G5nb/VDnqVGF/q1e4USPqQSi/dd46vXy2/1impk=")
  (make {
    name = "structured-numbers";
    __structuredAttrs = true;
    integers = [ 0 (-1) 9007199254740993 9223372036854775807 (-9223372036854775807) ];
    floats = [ 3.0 (-0.0) 0.1 0.30000000000000004 100.0 1.0e15 1.0e16 123456789012345680.0 0.0001 1.0e-5 1.5e-7 1.7976931348623157e308 2.2250738585072014e-308 1.0e21 1.0e20 ];
    nested = { "" = { }; z = [ ]; a = [ [ [ null true false ] ] ]; "ü💾￿" = "🙂\"\\\n\t\r"; "e" = "é"; Z = 1; };
  })
]
