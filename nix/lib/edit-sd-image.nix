# The derivation of an SD image that shell commands edit: a writable copy of the disk, the commands,
# and only then zstd. The result has the shape of one that is not edited.
{
  # attribute set or null: the nixpkgs that runs the commands.
  pkgs,
  # string: the build platform.
  system,
  # derivation: a directory with the plain disk by the name `imageName`.
  disk,
  # string: the name of the plain image.
  imageName,
  # string: the name of the image.
  fileName,
  # bool: whether to compress the image with zstd.
  compressImage,
  # int: zstd's level; null is zstd's default, which is the binary's.
  compressionLevel,
  # bool: whether the image keeps none of the store paths in it alive.
  discardReferences,
  # string: the commands, which edit `$img`.
  commands,
  # string: the argument that they come from, for the error.
  argument,
}:
import ./run-shell.nix {
  inherit pkgs discardReferences;
  name = fileName;
  tools = import ./sd-tools.nix;
  reason = "${argument} is shell text";
  instead = "`raw`, which needs none";
  commands = ''
    mkdir -p "$out/sd-image" "$out/nix-support"
    export img="$out/sd-image/${imageName}"
    echo "file sd-image $out/sd-image/${fileName}" >"$out/nix-support/hydra-build-products"
    echo "${system}" >"$out/nix-support/system"
    cp --sparse=always --no-preserve=mode "${disk}/${imageName}" "$img"

    ${commands}

    ${
      if compressImage then
        ''zstd --quiet -T"$NIX_BUILD_CORES" ${
          if compressionLevel == null then "" else "-${toString compressionLevel} "
        }--rm "$img"''
      else
        ""
    }
  '';
}
