# The parts of nixpkgs' `lib` that decide how our functions are taken, behaving as nixpkgs' do.
let
  inherit (builtins)
    attrNames
    filter
    head
    intersectAttrs
    isAttrs
    isPath
    isString
    removeAttrs
    substring
    ;

  modules = import ./modules.nix { inherit (lib) isFunction; };

  lib = rec {
    # A set with a __functor that is a function counts as one.
    isFunction = f: builtins.isFunction f || (f ? __functor && builtins.isFunction (f.__functor f));

    # Its named formals are those it states, else those of what __functor gives.
    functionArgs =
      f:
      if f ? __functor then
        f.__functionArgs or (functionArgs (f.__functor f))
      else
        builtins.functionArgs f;

    setFunctionArgs = f: args: {
      __functor = _: f;
      __functionArgs = args;
    };

    makeOverridable =
      f: origArgs:
      let
        result = f origArgs;
        overridden = newArgs: origArgs // (if isFunction newArgs then newArgs origArgs else newArgs);
      in
      if isAttrs result then
        result // { override = newArgs: makeOverridable f (overridden newArgs); }
      else
        result;

    # A function is called, anything else is imported; only named formals are filled.
    callPackageWith =
      autoArgs: fn: args:
      let
        f = if isFunction fn then fn else import fn;
        formals = functionArgs f;
        allArgs = intersectAttrs formals autoArgs // args;
        absent = removeAttrs formals (attrNames allArgs);
        missing = filter (name: !formals.${name}) (attrNames absent);
      in
      if missing == [ ] then
        makeOverridable f allArgs
      else
        throw "callPackageWith: required arguments are missing: ${toString missing}";

    genAttrs =
      names: f:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );

    isDerivation = value: value.type or null == "derivation";

    isStringLike = x: isString x || isPath x || x ? outPath || x ? __toString;

    isStorePath =
      x:
      isStringLike x
      && (
        let
          string = toString x;
        in
        substring 0 1 string == "/" && dirOf string == builtins.storeDir
      );

    # Each type: `check` says whether it takes a value, `merge` makes one of several definitions.
    types = rec {
      package = {
        check = x: isDerivation x || isStorePath x;
        merge = mergeOne;
      };
      path = {
        check = x: isStringLike x && substring 0 1 (toString x) == "/";
        merge = mergeOne;
      };
      bool = {
        check = builtins.isBool;
        merge = mergeOne;
      };
      int = {
        check = builtins.isInt;
        merge = mergeOne;
      };
      str = {
        check = isString;
        merge = mergeOne;
      };
      lines = {
        check = isString;
        merge =
          _location: definitions:
          builtins.concatStringsSep "\n" (map (definition: definition.value) definitions);
      };
      unspecified = {
        check = _: true;
        merge = mergeOne;
      };
      raw = uniq unspecified;
      nullOr = type: {
        check = x: x == null || type.check x;
        merge =
          location: definitions:
          if builtins.any (definition: definition.value == null) definitions then
            null
          else
            type.merge location definitions;
      };
      uniq = type: {
        inherit (type) check;
        merge =
          location: definitions:
          if builtins.length definitions == 1 then
            type.merge location definitions
          else
            throw "the option ${toString location} is defined more than once";
      };
      listOf = type: {
        check = x: builtins.isList x && builtins.all type.check x;
        merge = _location: builtins.concatMap (definition: definition.value);
      };
      lazyAttrsOf = type: {
        check = isAttrs;
        merge =
          location: definitions:
          let
            sets = map (definition: definition.value) definitions;
            defined = name: builtins.filter (set: set ? ${name}) sets;
          in
          builtins.mapAttrs (
            name: _:
            modules.mergeDefinitions (location ++ [ name ]) type (map (set: set.${name}) (defined name))
          ) (builtins.foldl' (all: set: all // set) { } sets);
      };
      oneOf = alternatives: {
        check = x: builtins.any (type: type.check x) alternatives;
        merge =
          location: definitions:
          let
            takes = type: builtins.all (definition: type.check definition.value) definitions;
          in
          (head (filter takes alternatives)).merge location definitions;
      };
    };

    mergeOne = _location: definitions: (head definitions).value;

    inherit (modules)
      mkDefault
      mkForce
      mkIf
      mkMerge
      mkOption
      mkOptionDefault
      mkOverride
      ;
    evalModules = modules.evalModules { inherit lib; };
    literalExpression = text: { inherit text; };

    # Of two packages that have the same file, that with the lower number is taken.
    hiPrio =
      package:
      package
      // {
        meta = package.meta or { } // {
          priority = -10;
        };
      };

    optional = condition: element: if condition then [ element ] else [ ];
    optionalAttrs = condition: attrs: if condition then attrs else { };
    optionalString = condition: string: if condition then string else "";

    cleanSource = path: builtins.path { inherit path; };

    licenses = genAttrs [ "asl20" "mit" ] (spdxId: { inherit spdxId; });
  };
in
lib
