# The derivation of an ext4 image. Its arguments are those of build-image.nix, those of the
# filesystem (ext4.nix), and those that stand here.
context:
# string: the function's name, for errors.
function:
let
  buildImage = import ./build-image.nix context;
  ext4 = import ./ext4.nix;
  ext4Arguments = builtins.functionArgs ext4;

  own =
    {
      # bool: whether to read the image again and compare every store path with its hash.
      selfCheck ? false,

      # Taken for nixpkgs' sake, and unused.
      lib ? null,
      zstd ? null,
      e2fsprogs ? null,
      libfaketime ? null,
      perl ? null,
      fakeroot ? null,
      lkl ? null,
      ...
    }:
    {
      inherit selfCheck;
    };
in
arguments:
buildImage
  {
    inherit function;
    request = own arguments // {
      ext4 = ext4 (builtins.intersectAttrs ext4Arguments arguments);
    };
  }
  # It refuses what is left and is not its own.
  (removeAttrs arguments (builtins.attrNames (ext4Arguments // builtins.functionArgs own)))
