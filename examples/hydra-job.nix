# A job for Hydra: a compressed image with a report, which Hydra shows beside it, with figures for
# its charts. A flake has it as hydraJobs.NAME.SYSTEM.
{
  nixpkgs,
  nix2image,
  system,
}:
nix2image.lib.${system}.makeExt4Fs {
  storePaths = [ nixpkgs.legacyPackages.${system}.hello ];
  volumeLabel = "HELLO";
  compressImage = true;
  # Every store path is hashed while it is copied.
  verify = true;
  report = true;
}
