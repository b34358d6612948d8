# GRUB of the stand-in, where it is to run: the machine's modules, and its grub-mkimage on its own
# dynamic linker and libraries.
{
  system,
  # function: `runCommand`.
  runCommand,
  # string: the directory with a directory for each of GRUB's platforms.
  directory ? "/usr/lib/grub",
}:
let
  multiarch = builtins.replaceStrings [ "-linux" ] [ "-linux-gnu" ] system;
  selected =
    name: path: pattern:
    builtins.path {
      inherit name path;
      filter = file: _type: builtins.match pattern (baseNameOf file) != null;
    };
  libraries = selected "grub-libraries" "/usr/lib/${multiarch}" (
    "(ld-linux-.*|lib(c|devmapper|lzma|m|pcre2-8|selinux|udev)\\.so\\..*)"
  );
  tool = selected "grub-mkimage" "/usr/bin" "grub-mkimage";
  modules = builtins.path {
    name = "grub-modules";
    path = directory;
  };
in
runCommand "grub" { } ''
  mkdir -p "$out/bin" "$out/lib"
  ln -s ${modules} "$out/lib/grub"
  # A link to the static busybox.
  shell=$(readlink "$PWD/bin/sh")
  echo "#!$shell sh" >"$out/bin/grub-mkimage"
  echo 'exec ${libraries}/ld-linux-*.so.* --library-path ${libraries} ${tool}/grub-mkimage "$@"' \
    >>"$out/bin/grub-mkimage"
  chmod 755 "$out/bin/grub-mkimage"
''
