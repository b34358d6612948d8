# attribute set -> attribute set: the attribute `disk` (docs/attributes.md), with each path in it as
# an input of the derivation, and without what is null. `function` is the function's name, for
# errors. What the values may be is the binary's to check.
function: disk:
let
  present = import ./present.nix;
  each = argument: import ./each.nix "${function}: ${argument}";
  asInput = where: import ./as-input.nix "${function}: ${where}";

  # attribute set -> attribute set: `change` of the attributes that are there.
  changed =
    changes: attrs:
    attrs
    // builtins.mapAttrs (name: change: change attrs.${name}) (builtins.intersectAttrs attrs changes);

  fat =
    where:
    changed {
      contents = import ./contents.nix "${where}.contents";
      bootFiles = import ./boot-files.nix "${where}.bootFiles";
    };

  content =
    where:
    changed {
      ext4 = present;
      fat = value: present (fat "${where}.fat" value);
      file = import ./as-input.nix "${where}.file";
    };

  partition =
    where: value:
    present (changed { content = content "${where}.content"; } (present value));

  rawFile =
    where: value:
    value
    // {
      source = import ./as-input.nix "${where}.source" value.source;
    };
in
present (
  changed {
    partitions = each "partitions" partition;
    raw = each "raw" rawFile;
    grub =
      grub:
      present (
        grub
        // {
          boot = asInput "grub.boot" grub.boot;
          core = asInput "grub.core" grub.core;
        }
      );
  } (present disk)
)
