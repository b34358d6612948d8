# A root in a directory, for a tool that makes an image of it in its own way: `nix2image
# prepare-root` in a derivation of one's own.
{
  nixpkgs,
  nix2image,
  system,
}:
let
  pkgs = nixpkgs.legacyPackages.${system};
in
pkgs.runCommand "root-directory"
  {
    # Nix writes the closure of a store path, here hello, to the file `closure`.
    exportReferencesGraph = [
      "closure"
      pkgs.hello
    ];
  }
  ''
    mkdir "$out"
    ${nix2image.packages.${system}.nix2image}/bin/nix2image prepare-root "$out" --closure closure
  ''
