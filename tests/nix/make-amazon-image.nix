# makeAmazonImage: the table by the way it boots, and what is said of the image.
{
  nixpkgs ? ./nixpkgs,
  system ? "x86_64-linux",
  ...
}:
let
  pkgs = import nixpkgs { system = "x86_64-linux"; };
  arm = import nixpkgs {
    system = "x86_64-linux";
    crossSystem.system = "aarch64-linux";
  };
  inherit
    (import ../../nix {
      builder = ./failures.nix;
      inherit system;
    })
    makeAmazonImage
    ;

  # As nixpkgs' amazon-image.nix has it.
  configurationOf =
    system: efi: more:
    import ./configuration.nix system (
      {
        ec2 = {
          inherit efi;
          zfs.enable = false;
        };
        amazonImage = {
          contents = [ ];
          format = "vpc";
        };
        image.baseName = "nixos-amazon";
        virtualisation.diskSize = 4096;
        fileSystems = {
          "/" = {
            device = "/dev/disk/by-label/nixos";
            fsType = "ext4";
          };
        }
        // (if efi then { "/boot".device = "/dev/disk/by-label/ESP"; } else { });
        boot.loader.timeout = 1;
        boot.loader.grub = {
          enable = true;
          device = if efi then "nodev" else "/dev/xvda";
          efiSupport = efi;
        };
      }
      // more
    );
  bios = configurationOf "x86_64-linux" false { };
  uefi = configurationOf "x86_64-linux" true { };

  imageOf =
    arguments:
    makeAmazonImage (
      {
        config = bios;
        inherit pkgs;
        copyChannel = false;
      }
      // arguments
    );
  fileOf =
    image: name:
    (builtins.head (builtins.filter (file: file.name == "nix-support/${name}") image.nix2image.outputFiles))
    .text;
  infoOf = image: builtins.fromJSON (fileOf image "image-info.json");
  typesOf = image: map (partition: partition.type) image.nix2image.disk.partitions;
in
import ./failures.nix {
  "a BIOS image, as nixpkgs makes it by default" = {
    expr =
      let
        image = imageOf { };
        inherit (image.nix2image) disk;
      in
      {
        inherit (image) name;
        inherit (image.nix2image) imageName container;
        inherit (disk) table size;
        types = typesOf image;
        starts = map (partition: partition.start) disk.partitions;
        label = (builtins.elemAt disk.partitions 1).content.ext4.label;
        grub = disk ? grub;
        menu = map (file: file.grub.timeout) image.nix2image.bootFiles;
        configFile = map (item: item.target) image.nix2image.contents;
      };
    expected = {
      name = "nixos-amazon";
      imageName = "nixos-amazon.vhd";
      container = "vhd-dynamic";
      table = "gpt";
      size = 4294967296;
      types = [
        "bios-boot"
        "linux"
      ];
      starts = [
        1048576
        2097152
      ];
      label = "nixos";
      grub = true;
      menu = [ 1 ];
      configFile = [ "/etc/nixos/configuration.nix" ];
    };
  };

  "what is beside the image" = {
    expr = {
      products = fileOf (imageOf { }) "hydra-build-products";
      info = infoOf (imageOf { });
    };
    expected = {
      products = "file vpc @image@\n";
      info = {
        label = "26.05.test";
        boot_mode = "legacy-bios";
        system = "x86_64-linux";
        logical_bytes = "@imageBytes@";
        file = "@image@";
        disks.root = {
          logical_bytes = "@imageBytes@";
          file = "@image@";
        };
        format = "VHD";
      };
    };
  };

  "ec2.efi" = {
    expr =
      let
        image = imageOf { config = uefi; };
        esp = (builtins.head image.nix2image.disk.partitions).content.fat;
      in
      {
        mode = (infoOf image).boot_mode;
        types = typesOf image;
        inherit (esp) label;
        contents = map (item: item.target) esp.contents;
        menu = map (file: file.grub.kernels) esp.bootFiles;
        grub = image.nix2image.disk ? grub;
      };
    expected = {
      mode = "uefi";
      types = [
        "esp"
        "linux"
      ];
      label = "ESP";
      contents = [ "/EFI/BOOT/BOOTX64.EFI" ];
      menu = [ "copied" ];
      grub = false;
    };
  };

  "both ways, from either configuration" = {
    expr =
      map
        (
          config:
          let
            image = imageOf {
              inherit config;
              boot = "hybrid";
            };
            esp = (builtins.head image.nix2image.disk.partitions).content.fat;
          in
          {
            mode = (infoOf image).boot_mode;
            types = typesOf image;
            contents = map (item: item.target) esp.contents;
            onEsp = map (file: file.grub.search.label) esp.bootFiles;
            onRoot = map (file: file.grub.search.label) image.nix2image.bootFiles;
            grub = image.nix2image.disk ? grub;
          }
        )
        [
          bios
          uefi
        ];
    expected =
      let
        common = {
          mode = "uefi-preferred";
          types = [
            "esp"
            "bios-boot"
            "linux"
          ];
          contents = [ "/EFI/BOOT/BOOTX64.EFI" ];
          grub = true;
        };
      in
      [
        (
          common
          // {
            onEsp = [ ];
            onRoot = [ "nixos" ];
          }
        )
        (
          common
          // {
            onEsp = [ "ESP" ];
            onRoot = [ ];
          }
        )
      ];
  };

  "aarch64" = {
    expr =
      let
        image = makeAmazonImage {
          config = configurationOf "aarch64-linux" true { };
          pkgs = arm;
          copyChannel = false;
        };
        esp = builtins.head image.nix2image.disk.partitions;
      in
      {
        inherit (image) system;
        info = {
          inherit (infoOf image) system boot_mode;
        };
        inherit (esp) start;
        contents = map (item: item.target) esp.content.fat.contents;
      };
    expected = {
      inherit system;
      info = {
        system = "aarch64-linux";
        boot_mode = "uefi";
      };
      start = 8388608;
      contents = [ "/EFI/BOOT/BOOTAA64.EFI" ];
    };
  };

  "raw, of another size and name" = {
    expr =
      let
        image = imageOf {
          format = "raw";
          sizeMB = 2048;
          name = "image";
        };
      in
      {
        inherit (image.nix2image) container imageName;
        inherit (image.nix2image.disk) size;
        inherit (infoOf image) format;
        products = fileOf image "hydra-build-products";
      };
    expected = {
      container = "raw";
      imageName = "image.img";
      size = 2147483648;
      format = "RAW";
      products = "file raw @image@\n";
    };
  };

  "what the configuration says" = {
    expr =
      let
        image = imageOf {
          config = configurationOf "x86_64-linux" false {
            amazonImage = {
              format = "raw";
              contents = [
                {
                  source = ./failures.nix;
                  target = "boot/a";
                }
              ];
              registerImage.EnaSupport = true;
            };
            image = { };
            virtualisation.diskSize = "auto";
          };
        };
      in
      {
        inherit (image.nix2image) imageName;
        size = image.nix2image.disk ? size;
        contents = map (item: item.target) image.nix2image.contents;
        inherit (infoOf image) registerImage;
      };
    expected = {
      imageName = "nixos-amazon-image-26.05.test-x86_64-linux.img";
      size = false;
      contents = [
        "/boot/a"
        "/etc/nixos/configuration.nix"
      ];
      registerImage.EnaSupport = true;
    };
  };
}
