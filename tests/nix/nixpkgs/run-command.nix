# `runCommand` of the stand-in: the machine's static busybox is the shell and most tools; where
# busybox' own lacks an option (tar --sort, cp --sparse) or is not there (zstd), it is the machine's,
# on its own dynamic linker and libraries. The packages of `nativeBuildInputs` are stubs, and so
# not there.
{
  system,
  # string: a static busybox.
  busybox,
  # path: a directory with `bin` and `lib`, in which all of this is; null is the machine itself.
  machine ? null,
}:
let
  # Some files of a directory of the machine, links among them kept.
  selected =
    name: directory: takes:
    builtins.path {
      inherit name;
      path = directory;
      filter = path: _type: takes (baseNameOf path);
    };

  multiarch = builtins.replaceStrings [ "-linux" ] [ "-linux-gnu" ] system;
  libraries =
    if machine != null then
      machine + "/lib"
    else
      selected "tools-libraries" "/usr/lib/${multiarch}" (
        name:
        builtins.match "(ld-linux-.*|lib(acl|attr|selinux|c|lz4|lzma|pcre2-8|z|zstd)\\.so\\..*)" name
        != null
      );
  tools =
    if machine != null then
      machine + "/bin"
    else
      selected "tools" "/usr/bin" (name: builtins.match "cp|tar|zstd" name != null);
  # busybox looks at the name that it is called by.
  shell =
    if machine != null then
      "${tools}/busybox"
    else
      "${selected "busybox" (dirOf busybox) (name: name == "busybox")}/busybox";
in
name: environment: commands:
derivation (
  removeAttrs environment [
    "meta"
    "nativeBuildInputs"
  ]
  // {
    inherit name system;
    builder = shell;
    # No variables: with structured attributes there are none but in a file for bash.
    args = [
      "sh"
      "-euc"
      ''
        export out=${builtins.placeholder "out"}
        ${shell} mkdir bin
        ${shell} --install -s "$PWD/bin"
        PATH=$PWD/bin
        # Functions, for busybox' shell takes its own applets before those of PATH.
        machine() {
          program=$1
          shift
          ${libraries}/ld-linux-*.so.* --library-path ${libraries} "${tools}/$program" "$@"
        }
        cp() { machine cp "$@"; }
        tar() { machine tar "$@"; }
        zstd() { machine zstd "$@"; }

        ${commands}
      ''
    ];
  }
)
// {
  meta = environment.meta or { };
}
