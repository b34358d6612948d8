# `runCommand` of the stand-in: the machine's static busybox is the shell and most tools, its GNU
# tar (busybox' has no --sort) runs on its own dynamic linker and libraries.
{
  system,
  # string: a static busybox.
  busybox,
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
  libraries = selected "tar-libraries" "/usr/lib/${multiarch}" (
    name: builtins.match "(ld-linux-.*|lib(acl|selinux|c|pcre2-8)\\.so\\..*)" name != null
  );
  tar = selected "tar" "/usr/bin" (name: name == "tar");
  # busybox looks at the name that it is called by.
  shell = "${selected "busybox" (dirOf busybox) (name: name == "busybox")}/busybox";
in
name: environment: commands:
derivation (
  removeAttrs environment [ "meta" ]
  // {
    inherit name system;
    builder = shell;
    args = [
      "sh"
      "-euc"
      ''
        ${shell} mkdir bin
        ${shell} --install -s "$PWD/bin"
        PATH=$PWD/bin
        # A function, for busybox' shell takes its own applets before those of PATH.
        tar() {
          ${libraries}/ld-linux-*.so.* --library-path ${libraries} ${tar}/tar "$@"
        }
        . "$commandsPath"
      ''
    ];
    inherit commands;
    passAsFile = [ "commands" ];
  }
)
// {
  meta = environment.meta or { };
}
