# makeDiskImage: what each argument becomes.
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
    makeDiskImage
    ;

  configurationOf = import ./configuration.nix "x86_64-linux";
  grub = more: { boot.loader.grub = { enable = true; } // more; };
  bios = configurationOf (grub {
    devices = [ "/dev/vda" ];
  });
  both = configurationOf (grub {
    devices = [ "/dev/vda" ];
    efiSupport = true;
  });
  systemdBoot = configurationOf { boot.loader.systemd-boot.enable = true; };
  extlinux = configurationOf { boot.loader.generic-extlinux-compatible.enable = true; };
  toplevel = "${bios.system.build.toplevel}";

  imageOf =
    arguments:
    makeDiskImage (
      {
        config = bios;
        inherit pkgs;
        copyChannel = false;
      }
      // arguments
    );
  requestOf = arguments: (imageOf arguments).nix2image;
  diskOf = arguments: (requestOf arguments).disk;
  # Without a boot loader, each table can be had from any configuration.
  tableOf =
    partitionTableType:
    diskOf {
      inherit partitionTableType;
      installBootLoader = false;
    };

  mebibyte = 1024 * 1024;
  contentOf =
    partition:
    if !(partition ? content) then
      null
    else if partition.content ? ext4 then
      "ext4 ${partition.content.ext4.label}"
    else
      "fat ${partition.content.fat.label}";
  summary =
    disk:
    map (partition: {
      name = partition.name or null;
      type = partition.type or null;
      guid = partition.guid or null;
      start = partition.start or null;
      size = partition.size or null;
      bootable = partition.bootable or false;
      content = contentOf partition;
    }) disk.partitions;
  partition = attributes: {
    name = null;
    type = null;
    guid = null;
    start = null;
    size = null;
    bootable = false;
    content = null;
  } // attributes;

  diskGuid = "97fd5997-d90b-4aa3-8d16-c1723aea73c0";
  rootGuid = "f222513b-ded1-49fa-b591-20ce86a2fe7f";
  firstGuid = "1c06f03b-704e-4657-b9cd-681a087a2fdc";
  secondGuid = "970c694f-afd0-4b99-b750-cdb7a329ab6f";
  esp = partition {
    name = "ESP";
    type = "esp";
    guid = firstGuid;
    start = 8 * mebibyte;
    size = 248 * mebibyte;
    content = "fat ESP";
  };
  root = partition {
    name = "primary";
    type = "linux";
    guid = rootGuid;
    start = 256 * mebibyte;
    content = "ext4 nixos";
  };

  filesOf = partition: partition.content.fat or { };
  loaderOf = files: map (file: builtins.attrNames (removeAttrs file [ "target" ])) files;
  targetsOf = map (item: item.target);
  ends =
    suffix: string:
    let
      length = builtins.stringLength suffix;
    in
    builtins.substring (builtins.stringLength string - length) length string == suffix;
in
import ./failures.nix {
  "none is the filesystem alone" = {
    expr = {
      inherit (tableOf "none") table;
      partitions = summary (tableOf "none");
    };
    expected = {
      table = "none";
      partitions = [
        (partition {
          name = "root";
          content = "ext4 nixos";
        })
      ];
    };
  };

  "legacy" = {
    expr = {
      inherit (tableOf "legacy") table id;
      partitions = summary (tableOf "legacy");
    };
    expected = {
      table = "mbr";
      id = "0xf222513b";
      partitions = [
        (
          root
          // {
            name = "root";
            guid = null;
            start = mebibyte;
          }
        )
      ];
    };
  };

  "legacy+boot" = {
    expr = summary (tableOf "legacy+boot");
    expected = [
      (partition {
        name = "boot";
        type = "fat32";
        start = mebibyte;
        size = 255 * mebibyte;
        bootable = true;
        content = "fat BOOT";
      })
      (
        root
        // {
          name = "root";
          guid = null;
        }
      )
    ];
  };

  "legacy+gpt" = {
    expr = {
      inherit (tableOf "legacy+gpt") table guid;
      partitions = summary (tableOf "legacy+gpt");
    };
    expected = {
      table = "gpt";
      guid = diskGuid;
      partitions = [
        (partition {
          name = "no-fs";
          type = "bios-boot";
          guid = firstGuid;
          start = mebibyte;
          size = mebibyte;
        })
        (root // { start = 2 * mebibyte; })
      ];
    };
  };

  "efi" = {
    expr = summary (tableOf "efi");
    expected = [
      esp
      root
    ];
  };

  "efixbootldr" = {
    expr = summary (tableOf "efixbootldr");
    expected = [
      (esp // { size = 92 * mebibyte; })
      (partition {
        name = "BOOT";
        type = "xbootldr";
        guid = secondGuid;
        start = 100 * mebibyte;
        size = 156 * mebibyte;
        content = "fat BOOT";
      })
      (root // { name = "ROOT"; })
    ];
  };

  "hybrid" = {
    expr = summary (tableOf "hybrid");
    expected = [
      esp
      (partition {
        name = "no-fs";
        type = "bios-boot";
        guid = secondGuid;
        start = 17408;
        size = mebibyte - 17408;
      })
      root
    ];
  };

  "without a size, additionalSpace is free; with one, the root is the rest" = {
    expr =
      map
        (
          arguments:
          let
            disk = diskOf arguments;
            part = builtins.head disk.partitions;
          in
          {
            size = disk.size or null;
            partition = part.size or null;
            inherit (part.content.ext4) freeBytes;
          }
        )
        [
          { }
          { additionalSpace = "1G"; }
          { diskSize = 2048; }
          { diskSize = "2048"; }
          { diskSize = "1.5GiB"; }
          { diskSize = "1500K"; }
        ];
    expected = [
      {
        size = null;
        partition = null;
        freeBytes = 512 * mebibyte;
      }
      {
        size = null;
        partition = null;
        freeBytes = 1024 * mebibyte;
      }
      {
        size = 2048 * mebibyte;
        partition = "rest";
        freeBytes = 0;
      }
      {
        size = 2048 * mebibyte;
        partition = "rest";
        freeBytes = 0;
      }
      {
        size = 1536 * mebibyte;
        partition = "rest";
        freeBytes = 0;
      }
      {
        size = 2 * mebibyte;
        partition = "rest";
        freeBytes = 0;
      }
    ];
  };

  "the root's identities" = {
    expr =
      let
        disk = diskOf {
          partitionTableType = "legacy+gpt";
          rootGPUID = "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE";
          rootFSUID = "11111111-2222-3333-4444-555555555555";
          rootFSHashSeed = "66666666-2222-3333-4444-555555555555";
          label = "root";
        };
        part = builtins.elemAt disk.partitions 1;
      in
      {
        inherit (part) guid;
        inherit (part.content.ext4) uuid hashSeed label;
      };
    expected = {
      guid = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
      uuid = "11111111-2222-3333-4444-555555555555";
      hashSeed = "66666666-2222-3333-4444-555555555555";
      label = "root";
    };
  };

  "formats" = {
    expr =
      map
        (
          format:
          let
            request = requestOf { inherit format; };
          in
          [
            request.container
            request.imageName
            (builtins.head request.outputFiles)
          ]
        )
        [
          "raw"
          "qcow2"
          "qcow2-compressed"
          "vpc"
        ];
    expected =
      let
        products = format: {
          name = "nix-support/hydra-build-products";
          text = "file ${format}-image @image@\n";
        };
      in
      [
        [
          "raw"
          "nixos.img"
          (products "raw")
        ]
        [
          "qcow2"
          "nixos.qcow2"
          (products "qcow2")
        ]
        [
          "qcow2-compressed"
          "nixos.qcow2"
          (products "qcow2")
        ]
        [
          "vhd-dynamic"
          "nixos.vhd"
          (products "vpc")
        ]
      ];
  };

  "a compressed raw image, by another name" = {
    expr =
      let
        image = imageOf {
          compressImage = true;
          compressionLevel = 5;
          deduplicate = true;
          report = true;
          baseName = "host";
          name = "host-image";
        };
      in
      {
        inherit (image) name;
        inherit (image) outputs;
        inherit (image.nix2image) imageName compression compressionLevel deduplicate;
      };
    expected = {
      name = "host-image";
      outputs = [
        "out"
        "report"
      ];
      imageName = "host.img.zst";
      compression = "zstd";
      compressionLevel = 5;
      deduplicate = true;
    };
  };

  "the system, with its shell, and more store paths" = {
    expr =
      let
        image = imageOf { additionalPaths = [ pkgs.hello ]; };
      in
      {
        root = image.nix2image.root == {
          system = toplevel;
          shell = bios.environment.binsh;
        };
        inherit (image.nix2image) registration;
        closure = builtins.elem "${pkgs.hello}" image.exportReferencesGraph.closure;
      };
    expected = {
      root = true;
      registration = false;
      closure = true;
    };
  };

  "the channel is made on the build platform" = {
    expr =
      let
        channels =
          map
            (
              pkgs:
              (makeDiskImage {
                config = import ./configuration.nix pkgs.stdenv.hostPlatform.system { };
                installBootLoader = false;
                inherit pkgs;
              }).nix2image.root.channel
            )
            [
              pkgs
              arm
            ];
      in
      {
        name = builtins.match ".*-nixos-26\\.05\\.test" (builtins.head channels) != null;
        same = builtins.head channels == builtins.elemAt channels 1;
      };
    expected = {
      name = true;
      same = true;
    };
  };

  "contents, with ids by name and by number" = {
    expr =
      map
        (
          item:
          let
            content = builtins.head (requestOf { contents = [ item ]; }).contents;
          in
          removeAttrs content [ "source" ]
        )
        [
          {
            source = ./failures.nix;
            target = "etc//a/";
          }
          {
            source = ./package;
            target = "/srv";
            mode = "755";
            user = "alice";
            group = "users";
          }
          {
            source = ./package;
            target = "/srv";
            user = "nginx";
            group = "root";
          }
          {
            source = ./package;
            target = "/srv";
            user = 5;
            group = "007";
          }
          {
            source = "${./package}/bin/*";
            target = "/bin";
            mode = null;
            user = null;
          }
        ];
    expected = [
      { target = "/etc/a"; }
      {
        target = "/srv";
        mode = "755";
        recursiveMode = true;
        uid = 1000;
        gid = 100;
      }
      {
        target = "/srv";
        uid = 60;
        gid = 0;
      }
      {
        target = "/srv";
        uid = 5;
        gid = 7;
      }
      {
        target = "/bin";
        glob = true;
      }
    ];
  };

  "configFile" = {
    expr = targetsOf (requestOf { configFile = ./failures.nix; }).contents;
    expected = [ "/etc/nixos/configuration.nix" ];
  };

  "onlyNixStore" = {
    expr =
      let
        image = imageOf { onlyNixStore = true; };
        request = image.nix2image;
      in
      {
        inherit (request) onlyStore registration;
        root = request ? root;
        inherit ((builtins.head request.disk.partitions).content.ext4) label;
        closure = image.exportReferencesGraph.closure == [ toplevel ];
      };
    expected = {
      onlyStore = true;
      registration = false;
      root = false;
      label = "nix-store";
      closure = true;
    };
  };

  "without a configuration, the store paths alone" = {
    expr =
      let
        image = makeDiskImage { additionalPaths = [ pkgs.hello ]; };
      in
      {
        root = image.nix2image ? root;
        closure = image.exportReferencesGraph.closure == [ "${pkgs.hello}" ];
        grub = image.nix2image.disk ? grub;
      };
    expected = {
      root = false;
      closure = true;
      grub = false;
    };
  };

  "systemd-boot on the ESP" = {
    expr =
      let
        disk = diskOf {
          config = configurationOf {
            boot.loader = {
              timeout = null;
              systemd-boot = {
                enable = true;
                editor = false;
                consoleMode = "max";
              };
            };
          };
          partitionTableType = "efi";
        };
        files = filesOf (builtins.head disk.partitions);
        file = builtins.head files.bootFiles;
      in
      {
        inherit (file) target;
        loader = removeAttrs file.systemdBoot [ "efi" ];
        efi = ends "-systemd/lib/systemd/boot/efi/systemd-bootx64.efi" file.systemdBoot.efi;
        context = builtins.hasContext file.systemdBoot.efi;
      };
    expected = {
      target = "/";
      loader = {
        system = toplevel;
        timeout = null;
        editor = false;
        consoleMode = "max";
      };
      efi = true;
      context = true;
    };
  };

  "systemd-boot of another platform" = {
    expr =
      let
        disk =
          (makeDiskImage {
            config = import ./configuration.nix "aarch64-linux" { boot.loader.systemd-boot.enable = true; };
            pkgs = arm;
            copyChannel = false;
            partitionTableType = "efi";
          }).nix2image.disk;
        file = builtins.head (filesOf (builtins.head disk.partitions)).bootFiles;
      in
      ends "/systemd-bootaa64.efi" file.systemdBoot.efi;
    expected = true;
  };

  "more files and entries of systemd-boot" = {
    expr =
      let
        disk = diskOf {
          config = configurationOf {
            boot.loader.systemd-boot = {
              enable = true;
              extraFiles."efi/memtest86/memtest.efi" = ./failures.nix;
              extraEntries."memtest86.conf" = "title Memtest86+\n";
            };
          };
          partitionTableType = "efi";
        };
      in
      targetsOf (filesOf (builtins.head disk.partitions)).contents;
    expected = [
      "/EFI/memtest86/memtest.efi"
      "/EFI/nixos/.extra-files/efi/memtest86/memtest.efi"
      "/loader/entries/memtest86.conf"
      "/EFI/nixos/.extra-files/loader/entries/memtest86.conf"
    ];
  };

  "systemd-boot with its entries on a partition of their own" = {
    expr =
      let
        disk = diskOf {
          config = configurationOf {
            boot.loader = {
              efi.efiSysMountPoint = "/efi";
              systemd-boot = {
                enable = true;
                xbootldrMountPoint = "/boot";
              };
            };
          };
          partitionTableType = "efixbootldr";
        };
        loaderAt =
          index:
          let
            file = builtins.head (filesOf (builtins.elemAt disk.partitions index)).bootFiles;
          in
          {
            efi = file.systemdBoot ? efi;
            loader = file.systemdBoot.loader or true;
            entries = file.systemdBoot.entries or true;
          };
      in
      [
        (loaderAt 0)
        (loaderAt 1)
      ];
    expected = [
      {
        efi = true;
        loader = true;
        entries = false;
      }
      {
        efi = false;
        loader = false;
        entries = true;
      }
    ];
  };

  "GRUB for a BIOS reads the root" = {
    expr =
      let
        request = requestOf { label = "root"; };
        file = builtins.head request.bootFiles;
      in
      {
        file = file;
        images = map (ends ".img") (builtins.attrValues request.disk.grub);
        names = builtins.attrNames request.disk.grub;
      };
    expected = {
      file = {
        grub = {
          system = toplevel;
          timeout = 5;
          default = 0;
          extraConfig = "";
          kernels = "store";
          search.label = "root";
        };
        target = "/boot";
      };
      images = [
        true
        true
      ];
      names = [
        "boot"
        "core"
      ];
    };
  };

  "GRUB for both reads the ESP, where that is /boot" = {
    expr =
      let
        request = requestOf {
          config = both;
          partitionTableType = "hybrid";
        };
        files = filesOf (builtins.head request.disk.partitions);
        file = builtins.head files.bootFiles;
      in
      {
        root = request.bootFiles;
        inherit (file) target;
        inherit (file.grub) kernels search;
        contents = targetsOf files.contents;
        bios = request.disk ? grub;
      };
    expected = {
      root = [ ];
      target = "/";
      kernels = "copied";
      search.label = "ESP";
      contents = [ "/EFI/BOOT/BOOTX64.EFI" ];
      bios = true;
    };
  };

  "GRUB reads the root where the ESP is not /boot" = {
    expr =
      map
        (
          more:
          let
            request = requestOf {
              config = both // more;
              partitionTableType = "hybrid";
            };
            files = filesOf (builtins.head request.disk.partitions);
          in
          {
            root = map (file: file.grub.search.label) request.bootFiles;
            esp = files.bootFiles;
            contents = targetsOf files.contents;
          }
        )
        [
          { fileSystems."/".device = "/dev/disk/by-label/nixos"; }
          {
            boot.loader = both.boot.loader // {
              efi.efiSysMountPoint = "/boot/efi";
            };
          }
        ];
    expected =
      let
        expected = {
          root = [ "nixos" ];
          esp = [ ];
          contents = [ "/EFI/BOOT/BOOTX64.EFI" ];
        };
      in
      [
        expected
        expected
      ];
  };

  "GRUB of another platform" = {
    expr =
      let
        request =
          (makeDiskImage {
            config = import ./configuration.nix "aarch64-linux" (grub {
              device = "nodev";
              efiSupport = true;
            });
            pkgs = arm;
            copyChannel = false;
            partitionTableType = "efi";
          }).nix2image;
      in
      {
        contents = targetsOf (filesOf (builtins.head request.disk.partitions)).contents;
        bios = request.disk ? grub;
      };
    expected = {
      contents = [ "/EFI/BOOT/BOOTAA64.EFI" ];
      bios = false;
    };
  };

  "what GRUB's menu says" = {
    expr =
      let
        request = requestOf {
          config = configurationOf (grub {
            device = "/dev/vda";
            default = "2";
            copyKernels = true;
            extraConfig = "serial";
            extraEntries = "menuentry memtest { linux16 @bootRoot@/memtest.bin }";
            extraFiles."memtest.bin" = ./failures.nix;
            extraPrepareConfig = "cp -pf memtest.bin \"@bootPath@/memtest.bin\"\n";
          });
        };
        menu = (builtins.head request.bootFiles).grub;
      in
      {
        inherit (menu)
          default
          kernels
          extraConfig
          extraEntries
          ;
        contents = targetsOf request.contents;
      };
    expected = {
      default = 2;
      kernels = "copied";
      extraConfig = "serial";
      extraEntries = "menuentry memtest { linux16 /boot/memtest.bin }";
      contents = [ "/boot/memtest.bin" ];
    };
  };

  "entries of one's own before those of NixOS" = {
    expr =
      let
        request = requestOf {
          config = configurationOf (grub {
            device = "/dev/vda";
            extraConfig = "serial";
            extraEntries = "menuentry other { }";
            extraEntriesBeforeNixOS = true;
          });
        };
        menu = (builtins.head request.bootFiles).grub;
      in
      [
        menu.extraConfig
        (menu ? extraEntries)
      ];
    expected = [
      "serial\nmenuentry other { }"
      false
    ];
  };

  "extlinux.conf in /boot" = {
    expr =
      let
        onRoot = requestOf {
          config = extlinux;
          partitionTableType = "legacy";
        };
        onBoot = requestOf {
          config = extlinux;
          partitionTableType = "legacy+boot";
        };
      in
      {
        root = builtins.head onRoot.bootFiles;
        boot = map (file: file.target) (filesOf (builtins.head onBoot.disk.partitions)).bootFiles;
        none = onBoot.bootFiles;
      };
    expected = {
      root = {
        extlinux = {
          system = toplevel;
          timeout = 5;
          deviceTree = true;
          dtbName = null;
        };
        target = "/boot";
      };
      boot = [ "/" ];
      none = [ ];
    };
  };

  "the device trees of extlinux.conf" = {
    expr =
      let
        request = requestOf {
          config = configurationOf {
            boot.loader.generic-extlinux-compatible = {
              enable = true;
              useGenerationDeviceTree = false;
            };
            hardware.deviceTree.name = "vendor/board.dtb";
          };
        };
        file = (builtins.head request.bootFiles).extlinux;
      in
      {
        inherit (file) deviceTree dtbName;
      };
    expected = {
      deviceTree = false;
      dtbName = "vendor/board.dtb";
    };
  };

  "installBootLoader = false looks at no boot loader" = {
    expr =
      let
        request = requestOf {
          config = configurationOf { boot = throw "looked at"; };
          installBootLoader = false;
        };
      in
      request.bootFiles;
    expected = [ ];
  };

  "postVM runs behind, on the build platform" = {
    expr =
      let
        image = imageOf {
          postVM = "echo done >$out/done";
          name = "after";
        };
      in
      {
        inherit (image) name system;
        ours = image ? nix2image;
      };
    expected = {
      name = "after";
      system = "x86_64-linux";
      ours = false;
    };
  };

  "nixpkgs' other arguments are taken" = {
    expr =
      builtins.isString
        (imageOf {
          lib = pkgs.lib;
          memSize = 4096;
          OVMF = null;
          efiFirmware = null;
          efiVariables = null;
          deterministic = false;
          reproducible = true;
          populateRootWith = "mke2fs";
          touchEFIVars = false;
          fsType = "ext4";
        }).drvPath;
    expected = true;
  };

  "a root that the image is, by label, UUID and GUID" = {
    expr =
      map
        (
          device:
          builtins.isString
            (imageOf {
              config = bios // {
                fileSystems."/" = {
                  inherit device;
                  fsType = "ext4";
                };
              };
              partitionTableType = "legacy+gpt";
            }).drvPath
        )
        [
          "/dev/disk/by-label/nixos"
          "/dev/disk/by-uuid/${rootGuid}"
          "/dev/disk/by-partuuid/F222513B-DED1-49FA-B591-20CE86A2FE7F"
          "/dev/vda2"
        ];
    expected = [
      true
      true
      true
      true
    ];
  };

  "callPackage fills pkgs, and not pkgs.config" = {
    expr =
      builtins.isString
        (pkgs.callPackage makeDiskImage {
          config = systemdBoot;
          partitionTableType = "efi";
          copyChannel = false;
        }).drvPath;
    expected = true;
  };
}
