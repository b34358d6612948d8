# The examples, as outputs of the flake. Each file here is one of them.
{
  # flake: nixpkgs.
  nixpkgs,
  # flake: this one.
  nix2image,
}:
let
  example = system: file: import file { inherit nixpkgs nix2image system; };
  onBoth = [
    "aarch64-linux"
    "x86_64-linux"
  ];
in
rec {
  # Those that are whole systems.
  configurations = {
    ec2 = example "x86_64-linux" ./ec2.nix;
    qemu = example "x86_64-linux" ./qemu.nix;
    sd-card = example "x86_64-linux" ./sd-card.nix;
  };

  # All images, by the system that builds them.
  images =
    let
      common = nixpkgs.lib.genAttrs onBoth (system: {
        ext4 = example system ./ext4.nix;
        hydra-job = example system ./hydra-job.nix;
        root-directory = example system ./root-directory.nix;
        service = example system ./service.nix;
      });
    in
    {
      aarch64-linux = common.aarch64-linux // {
        sd-card = configurations.sd-card.config.system.build.sdImage;
      };
      x86_64-linux = common.x86_64-linux // {
        ec2 = configurations.ec2.config.system.build.amazonImage;
        qemu = configurations.qemu.config.system.build.image;
      };
    };
}
