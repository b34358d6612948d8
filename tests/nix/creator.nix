# What makes a root filesystem, with the arguments of nixpkgs' make-ext4-fs.nix; never built.
{
  storePaths,
  compressImage ? false,
  populateImageCommands ? "",
  volumeLabel,
  uuid ? "none",
}:
derivation {
  name = "creator.img" + (if compressImage then ".zst" else "");
  system = "x86_64-linux";
  builder = "/bin/false";
  inherit
    storePaths
    compressImage
    populateImageCommands
    volumeLabel
    uuid
    ;
}
