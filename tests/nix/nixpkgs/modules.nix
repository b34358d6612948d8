# The parts of nixpkgs' module system that our modules use: options that stand in any depth,
# `imports`, `mkIf`, `mkMerge` and priorities. What is not declared is an error.
{ isFunction }:
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    filter
    foldl'
    head
    isAttrs
    mapAttrs
    removeAttrs
    tail
    ;

  is = type: value: isAttrs value && value._type or null == type;

  # The definitions of attribute sets, conditions and priorities moved into them: what a condition
  # asks for may stand in the same set.
  pushDown =
    definition:
    if is "merge" definition then
      concatMap pushDown definition.contents
    else if is "if" definition || is "override" definition then
      map (mapAttrs (_name: content: definition // { inherit content; })) (pushDown definition.content)
    else
      [ definition ];

  # Those of one attribute.
  at = name: concatMap (definition: if definition ? ${name} then [ definition.${name} ] else [ ]);

  # The values of an option with their priorities: the least number counts.
  discharge =
    priority: definition:
    if is "merge" definition then
      concatMap (discharge priority) definition.contents
    else if is "if" definition then
      if definition.condition then discharge priority definition.content else [ ]
    else if is "override" definition then
      discharge definition.priority definition.content
    else
      [
        {
          inherit priority;
          value = definition;
        }
      ];

  highestPriority =
    definitions:
    foldl' (least: { priority, ... }: if priority < least then priority else least) 10000 (
      concatMap (discharge 100) definitions
    );

  mergeDefinitions =
    location: type: definitions:
    let
      least = highestPriority definitions;
      values = filter (definition: definition.priority == least) (
        concatMap (discharge 100) definitions
      );
    in
    if values == [ ] then
      throw "the option ${toString location} has no value"
    else if !builtins.all (definition: type.check definition.value) values then
      throw "the option ${toString location} has a value of another type"
    else
      type.merge location values;

  withDefault =
    option: definitions:
    definitions ++ (if option ? default then [ (mkOptionDefault option.default) ] else [ ]);

  configOf =
    location: options: definitions:
    if is "option" options then
      mergeDefinitions location options.type (withDefault options definitions)
    else
      let
        sets = concatMap pushDown definitions;
        undeclared = concatMap (set: attrNames (removeAttrs set (attrNames options))) sets;
      in
      if undeclared != [ ] then
        throw "the option ${toString (location ++ undeclared)} does not exist"
      else
        mapAttrs (name: option: configOf (location ++ [ name ]) option (at name sets)) options;

  # The options as modules see them, with the priority of what each is set to.
  optionsOf =
    options: definitions:
    if is "option" options then
      options // { highestPrio = highestPriority (withDefault options definitions); }
    else
      mapAttrs (name: option: optionsOf option (at name (concatMap pushDown definitions))) options;

  joinOptions =
    left: right:
    left
    // mapAttrs (
      name: option: if left ? ${name} then joinOptions left.${name} option else option
    ) right;

  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOptionDefault = mkOverride 1500;

  mkOption = option: option // { _type = "option"; };

  evalModules =
    { lib }:
    {
      modules,
      specialArgs ? { },
    }@arguments:
    let
      extendModules =
        more: evalModules { inherit lib; } (arguments // { modules = modules ++ more.modules; });

      load =
        module:
        let
          imported = if isFunction module || isAttrs module then module else import module;
          value =
            if isFunction imported then
              imported (
                # One by one, for what they are may be another module's word.
                mapAttrs (name: _optional: config._module.args.${name}) (builtins.functionArgs imported)
                // specialArgs
                // {
                  inherit
                    lib
                    config
                    options
                    extendModules
                    ;
                }
              )
            else
              imported;
        in
        {
          imports = value.imports or [ ];
          options = value.options or { };
          # All that stands there is configuration, unless a part of it is said to be.
          config =
            if value ? options || value ? config then
              value.config or { }
            else
              removeAttrs value [ "imports" ];
        };
      # Each module and what it imports, a file once.
      collect =
        seen: queue:
        if queue == [ ] then
          [ ]
        else
          let
            module = head queue;
            rest = tail queue;
            loaded = load module;
          in
          if fileOf module != null && elem (fileOf module) seen then
            collect seen rest
          else
            [ loaded ] ++ collect (seen ++ [ (fileOf module) ]) (loaded.imports ++ rest);
      # null of what is no file.
      fileOf = module: if isFunction module || isAttrs module then null else toString module;
      loaded = collect [ ] modules;

      declared = foldl' joinOptions {
        # What modules take beside `specialArgs`.
        _module.args = mkOption {
          type = lib.types.lazyAttrsOf lib.types.raw;
          default = { };
        };
      } (map (module: module.options) loaded);
      definitions = map (module: module.config) loaded;
      options = optionsOf declared definitions;
      config = configOf [ ] declared definitions;
    in
    {
      inherit options config extendModules;
    };
in
{
  inherit
    evalModules
    mergeDefinitions
    mkOption
    mkOptionDefault
    mkOverride
    ;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };

  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
}
