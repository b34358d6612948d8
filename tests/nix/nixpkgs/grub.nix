# GRUB of the stand-in, where it is to run: the machine's modules, and its grub-mkimage on its own
# dynamic linker and libraries.
{
  system,
  # function: `runCommand`.
  runCommand,
  # string: the directory with a directory for each of GRUB's platforms.
  directory ? "/usr/lib/grub",
  # path: a directory with `bin`, `lib` and `grub`, in which all of this is; null is the machine
  # itself.
  machine ? null,
}:
let
  multiarch = builtins.replaceStrings [ "-linux" ] [ "-linux-gnu" ] system;
  selected =
    name: path: pattern:
    builtins.path {
      inherit name path;
      filter = file: _type: builtins.match pattern (baseNameOf file) != null;
    };
  libraries =
    if machine != null then
      machine + "/lib"
    else
      selected "grub-libraries" "/usr/lib/${multiarch}" (
        "(ld-linux-.*|lib(c|devmapper|lzma|m|pcre2-8|selinux|udev)\\.so\\..*)"
      );
  tool =
    if machine != null then machine + "/bin" else selected "grub-mkimage" "/usr/bin" "grub-mkimage";
  modules =
    if machine != null then
      machine + "/grub"
    else
      builtins.path {
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
