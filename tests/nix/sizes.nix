# Sizes as text.
{ ... }:
let
  size = import ../../nix/lib/size.nix "size";
in
import ./failures.nix {
  "units are powers of 1024" = {
    expr = map size [
      7
      "0"
      "0512"
      "1K"
      "512M"
      "512MiB"
      "2G"
      "2Gi"
      "1.5G"
      "0.001K"
      "4T"
    ];
    expected = [
      7
      0
      512
      1024
      536870912
      536870912
      2147483648
      2147483648
      1610612736
      2
      4398046511104
    ];
  };

  "anything else is refused" = {
    expr =
      map (value: (builtins.tryEval (builtins.deepSeq (size value) null)).success)
        [
          ""
          "512MB"
          "512 M"
          "M"
          "1.G"
          "-1"
          "1e3"
          (-1)
          1.5
          null
        ];
    expected = [
      false
      false
      false
      false
      false
      false
      false
      false
      false
      false
    ];
  };
}
