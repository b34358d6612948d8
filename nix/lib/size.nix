# string -> any -> int: bytes of a size as `numfmt --from=iec` and parted write it: "512M",
# "1.5GiB", "4096" (bytes). K, M, G and T are powers of 1024. An int is bytes. `where` is named in
# errors.
where:
let
  kibi = 1024;
  units = {
    "" = 1;
    K = kibi;
    M = kibi * kibi;
    G = kibi * kibi * kibi;
    T = kibi * kibi * kibi * kibi;
  };

  # "0512" is no number in JSON.
  number = digits: builtins.fromJSON (builtins.head (builtins.match "0*([0-9]+)" digits));
  power = base: exponent: if exponent == 0 then 1 else base * power base (exponent - 1);

  refused =
    size:
    throw "nix2image: ${where} is ${builtins.toJSON size}, which is no size; write it as \"512M\" or \"2G\", where K, M, G and T are powers of 1024";

  parse =
    size:
    let
      parts = builtins.match "([0-9]{1,15})([.]([0-9]{1,6}))?(([KMGT])(iB?)?)?" size;
      unit = units.${if builtins.elemAt parts 4 == null then "" else builtins.elemAt parts 4};
      fraction = builtins.elemAt parts 2;
      scale = power 10 (builtins.stringLength fraction);
    in
    if parts == null then
      refused size
    else
      number (builtins.head parts) * unit
      + (if fraction == null then 0 else (number fraction * unit + scale - 1) / scale);
in
size:
if builtins.isInt size && size >= 0 then
  size
else if builtins.isString size then
  parse size
else
  refused size
