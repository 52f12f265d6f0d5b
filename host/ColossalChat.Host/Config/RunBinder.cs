using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Config;

/// <summary>A configuration that was found good.</summary>
/// <param name="Settings">Bound settings; no role that the plan needs is missing.</param>
/// <param name="Plan">What the stage declares.</param>
/// <param name="Config">The layers they came from.</param>
/// <param name="Remarks">Odd but allowed, one sentence each.</param>
/// <param name="Catalog">The plugins it was bound with.</param>
internal sealed record BoundRun(RunSettings Settings, StagePlan Plan, LoadedConfig Config, IReadOnlyList<string> Remarks, PluginCatalog Catalog)
{
    /// <summary>The whole configuration with all defaults, as HOCON.</summary>
    /// <param name="withOrigins">True adds where each value came from.</param>
    public string EffectiveText(bool withOrigins = false)
    {
        var root = new OrderedDictionary<string, ConfigNode>
        {
            [ConfigLoader.Root] = new SettingsTree(Catalog).Of(WithoutSecrets(Settings), ConfigLoader.Root, Config.Section(ConfigLoader.Root)),
        };
        if (Config.Root.Children.TryGetValue(ConfigLoader.Akka, out var akka))
            root[ConfigLoader.Akka] = akka;
        return HoconWriter.Write(new ConfigSection("", ConfigLoader.DefaultPlace, root), withOrigins);
    }

    // What is written down is read by more people than may know a password; nodes read it where they were given it.
    private static RunSettings WithoutSecrets(RunSettings settings) => settings.Cluster.Tls.Password.Length == 0
        ? settings
        : settings with { Cluster = settings.Cluster with { Tls = settings.Cluster.Tls with { Password = "" } } };
}

/// <summary>Turns a loaded configuration into settings, and reports everything wrong with it together.</summary>
internal static class RunBinder
{
    private const string Roles = "roles";

    /// <summary>Where a configuration wants its plugins from; problems in that section are found again by <see cref="Bind"/>.</summary>
    public static PluginSettings PluginsOf(LoadedConfig config) => PluginsOf(config, new List<ConfigProblem>());

    /// <summary>What a file says about plugins; nothing is loaded for it.</summary>
    /// <exception cref="UserErrorException">The file cannot be read, or something in its layers or in section <c>plugins</c> is wrong; the message lists all of it.</exception>
    public static PluginPins ReadPins(string file)
    {
        var config = ConfigLoader.LoadFile(file, []);
        var problems = new List<ConfigProblem>(config.Problems);
        var settings = PluginsOf(config, problems);
        return problems.Count == 0 ? new PluginPins(settings.Folder, settings.Pins) : throw Invalid(Distinct(problems));
    }

    /// <summary>Every pin that can be read, whatever else is wrong: what a plugin may do before its run is checked hangs on it.</summary>
    public static IReadOnlyDictionary<string, string> PinsIn(LoadedConfig config) =>
        NodeAt(config.Section(ConfigLoader.Root), ["plugins", "pins"]) is ConfigSection pins
            ? pins.Children.Where(pin => pin.Value is ConfigValue).ToDictionary(pin => pin.Key, pin => ((ConfigValue)pin.Value).Text)
            : new Dictionary<string, string>();

    private static PluginSettings PluginsOf(LoadedConfig config, List<ConfigProblem> problems) => SectionOf<PluginSettings>(config, "plugins", problems);

    /// <summary>Folder of the run that nodes with this configuration work on; no plugin is loaded for it.</summary>
    /// <exception cref="UserErrorException">Something in section <c>run</c> is wrong, or the run has no name.</exception>
    public static RunFolder RunFolderOf(LoadedConfig config)
    {
        var problems = new List<ConfigProblem>();
        var run = SectionOf<RunFolderSettings>(config, "run", problems);
        if (problems.Count > 0)
            throw Invalid(problems);
        return RunFolderOf(run);
    }

    /// <summary>Folder of the run that nodes with these settings work on.</summary>
    /// <exception cref="UserErrorException">The run has no name.</exception>
    public static RunFolder RunFolderOf(RunFolderSettings run) => run.Name.Length > 0
        ? new RunFolder(Path.Combine(run.Folder, run.Name))
        : throw new UserErrorException("run.name is empty; all nodes of a run write into one folder, so give it a name.");

    // A section that needs no plugins.
    private static T SectionOf<T>(LoadedConfig config, string key, List<ConfigProblem> problems)
        where T : class, new()
    {
        if (!config.Section(ConfigLoader.Root).Children.TryGetValue(key, out var node))
            return new T();
        if (node is not ConfigSection section)
        {
            problems.Add(new ConfigProblem(node.Path, node.Location, "this must be a section; write { } around its keys."));
            return new T();
        }

        using var none = PluginCatalog.Load([], new Dictionary<string, string>(), _ => { });
        return OptionsBinder.Bind<T>(section, none, problems) ?? new T();
    }

    /// <summary>Binds and checks.</summary>
    /// <exception cref="UserErrorException">Something is wrong; the message lists all of it.</exception>
    public static BoundRun Bind(LoadedConfig config, PluginCatalog catalog)
    {
        var (bound, problems) = TryBind(config, catalog);
        return problems.Count == 0 && bound is not null ? bound : throw Invalid(problems);
    }

    /// <summary>One error that lists all problems.</summary>
    public static UserErrorException Invalid(IReadOnlyList<ConfigProblem> problems) =>
        new($"{string.Join('\n', problems)}\n{problems.Count} problem{(problems.Count == 1 ? "" : "s")} in the configuration; nothing was started.");

    /// <summary>Binds and checks; null when the settings could not be bound.</summary>
    public static (BoundRun? Bound, IReadOnlyList<ConfigProblem> Problems) TryBind(LoadedConfig config, PluginCatalog catalog)
    {
        var problems = new List<ConfigProblem>(config.Problems);
        var remarks = new List<string>();
        problems.AddRange(PluginProblems(config, catalog));
        var section = config.Section(ConfigLoader.Root);
        var plan = PlanOf(section, catalog, out var stageName);
        section = WithStageRoles(section, plan, stageName, remarks);
        var settings = OptionsBinder.Bind<RunSettings>(section, catalog, problems);
        problems.AddRange(SinkProblems(section, catalog));
        if (plan is not null)
            problems.AddRange([.. MissingRoles(section, plan, stageName), .. PlanProblems(plan, stageName), .. ModelProblems(plan, stageName, section, catalog)]);
        if (settings is not null)
            settings = WithAllSinks(settings, catalog);
        return settings is null || plan is null
            ? (null, Distinct(problems))
            : (new BoundRun(settings, plan, config with { Root = Replace(config.Root, section) }, remarks, catalog), Distinct(problems));
    }

    // Pins and folders are promises of the user: a refusal there stops a run that could otherwise start without the plugin.
    private static IEnumerable<ConfigProblem> PluginProblems(LoadedConfig config, PluginCatalog catalog) =>
        catalog.Refusals
            .Where(refusal => refusal.Reason is RefusalReason.PinMismatch or RefusalReason.PinnedAbsent or RefusalReason.FolderAbsent)
            .Select(refusal => Problem(config.Section(ConfigLoader.Root), ["plugins"], $"{refusal.Reason}: {refusal.Folder}: {refusal.Message}"));

    private static StagePlan? PlanOf(ConfigSection section, PluginCatalog catalog, out string name)
    {
        // Its problems are reported by the whole binding that follows.
        var stage = OptionsBinder.BindChoice<IStage>(section.Children.GetValueOrDefault("stage"), "colossalchat.stage", null, catalog, new List<ConfigProblem>());
        name = stage?.Name ?? "";
        if (stage is null)
            return null;
        using var context = new NodeContext(new NodeSetup(catalog));
        return Own(context.Create(stage).Plan);
    }

    // Lists that a plugin made may be of a class of its own, and the run holds the plan to its end.
    private static StagePlan Own(StagePlan plan) => plan with
    {
        ModelsTrained = plan.ModelsTrained.ToArray(),
        ScoresNeeded = plan.ScoresNeeded.ToArray(),
        DefaultRoles = plan.DefaultRoles.ToDictionary(),
    };

    private static ConfigSection WithStageRoles(ConfigSection section, StagePlan? plan, string stage, List<string> remarks)
    {
        var before = section.Children.GetValueOrDefault(Roles);
        if (before is not (null or ConfigSection))
            return section;
        var roles = (ConfigSection?)before ?? Empty($"{section.Path}.{Roles}");
        foreach (var (slot, plugin) in plan?.DefaultRoles ?? new Dictionary<string, string>())
            roles = WithUse(roles, slot.Split('.'), plugin, $"stage {stage}");
        return With(section, Roles, WithoutUnnamed(roles, plan is null ? null : stage, remarks));
    }

    private static ConfigSection WithUse(ConfigSection section, ReadOnlySpan<string> slot, string plugin, string place)
    {
        var path = $"{section.Path}.{HoconPath.Part(slot[0])}";
        var child = section.Children.GetValueOrDefault(slot[0]);
        if (child is not (null or ConfigSection))
            return section;
        var inner = (ConfigSection?)child ?? Empty(path) with { Location = place };
        if (slot.Length > 1)
            return With(section, slot[0], WithUse(inner, slot[1..], plugin, place));
        return inner.Children.ContainsKey(OptionsBinder.UseKey)
            ? section
            : With(section, slot[0], With(inner, OptionsBinder.UseKey, new ConfigValue($"{path}.{OptionsBinder.UseKey}", place, plugin)));
    }

    // A role that the stage does not know and that names no plugin cannot be checked; without a stage no role can.
    private static ConfigSection WithoutUnnamed(ConfigSection roles, string? stage, List<string> remarks)
    {
        foreach (var (key, node) in roles.Children.ToArray())
        {
            if (node is not ConfigSection role || !s_roleKeys.Contains(key))
                continue;
            if (key == "trainers")
                roles = With(roles, key, WithoutUnnamed(role, stage, remarks, _ => true));
            else
                roles = WithoutUnnamed(roles, stage, remarks, name => name == key);
        }

        return roles;
    }

    private static ConfigSection WithoutUnnamed(ConfigSection section, string? stage, List<string> remarks, Func<string, bool> isRole)
    {
        var kept = new OrderedDictionary<string, ConfigNode>();
        foreach (var (key, node) in section.Children)
        {
            if (!isRole(key) || node is not ConfigSection role || role.Children.ContainsKey(OptionsBinder.UseKey))
                kept[key] = node;
            else if (stage is not null)
                remarks.Add($"{role.Location}: {role.Path}: stage {stage} does not use this role, and it names no plugin; it was not checked.");
        }

        return section with { Children = kept };
    }

    private static readonly HashSet<string> s_roleKeys =
        typeof(RoleSettings).GetProperties().Select(property => KebabCase.Of(property.Name)).ToHashSet();

    // Looked up in the tree, not in bound settings: one wrong key elsewhere must not hide a missing role.
    private static IEnumerable<ConfigProblem> MissingRoles(ConfigSection section, StagePlan plan, string stage)
    {
        var trainers = NodeAt(section, [Roles, "trainers"]) as ConfigSection;
        (bool IsNeeded, string[] Slot)[] slots =
        [
            (plan.Flow == FlowKind.Online, ["prompts"]),
            (plan.Flow == FlowKind.Online, ["rollout"]),
            (plan.Flow == FlowKind.Online, ["experience"]),
            (plan.Flow == FlowKind.Offline, ["batches"]),
            (plan.ScoresNeeded.Contains(ScoreKind.ReferenceLogProbs), ["reference"]),
            (plan.ScoresNeeded.Contains(ScoreKind.Values), ["critic"]),
            (plan.ScoresNeeded.Contains(ScoreKind.Rewards), ["reward"]),
            .. plan.ModelsTrained.Select(model => (true, (string[])["trainers", model])),
        ];
        foreach (var (isNeeded, slot) in slots)
            if (isNeeded && NodeAt(section, [Roles, .. slot]) is null or ConfigValue { Text: "none" })
                yield return Problem(
                    section,
                    [Roles, .. slot],
                    $"stage {stage} needs this role; write {slot[^1]} {{ {OptionsBinder.UseKey} = NAME }} here.");
        foreach (var model in trainers?.Children.Keys.Except(plan.ModelsTrained) ?? [])
            yield return Problem(
                section,
                [Roles, "trainers", model],
                $"stage {stage} does not train '{model}'. {NearestName.Advice(model, [.. plan.ModelsTrained], "models it trains")}");
    }

    // Written out in the effective configuration, so that a run says by itself where its metrics went.
    private static RunSettings WithAllSinks(RunSettings settings, PluginCatalog catalog) =>
        settings with { Run = settings.Run with { Sinks = settings.Run.Sinks ?? catalog.NamesOf(typeof(IMetricSinkFactory)) } };

    private static IEnumerable<ConfigProblem> SinkProblems(ConfigSection section, PluginCatalog catalog)
    {
        var known = catalog.NamesOf(typeof(IMetricSinkFactory));
        return (NodeAt(section, ["run", "sinks"]) as ConfigList)?.Items.OfType<ConfigValue>()
            .Where(sink => !known.Contains(sink.Text))
            .Select(sink => new ConfigProblem(sink.Path, sink.Location, $"there is no metric sink '{sink.Text}'. {NearestName.Advice(sink.Text, known, "sinks")}")) ?? [];
    }

    /// <summary>What is wrong with what a stage declares.</summary>
    internal static IEnumerable<ConfigProblem> PlanProblems(StagePlan plan, string stage)
    {
        if (plan.Flow == FlowKind.Online && (plan.Iterations < 1 || plan.PromptsPerIteration < 1 || plan.RowsPerBatch < 1 || plan.AnswersPerPrompt < 1))
            yield return new ConfigProblem(
                "colossalchat.stage",
                ConfigLoader.DefaultPlace,
                $"stage {stage} plans {plan.Iterations} iterations of {plan.PromptsPerIteration} prompts x {plan.AnswersPerPrompt} answers in batches of {plan.RowsPerBatch}; each must be 1 or more.");
        if (plan.ModelsTrained.Count == 0)
            yield return new ConfigProblem(
                "colossalchat.stage",
                ConfigLoader.DefaultPlace,
                $"stage {stage} trains no model, so there is nothing to run; its plan must name at least one in {nameof(StagePlan.ModelsTrained)}. Tell the author of the plugin, or choose another stage.");
    }

    // Making the store loads nothing; it only says which models there are. What is wrong with it is found by the binding.
    private static ConfigProblem[] ModelProblems(StagePlan plan, string stage, ConfigSection section, PluginCatalog catalog)
    {
        var models = OptionsBinder.BindChoice<IModelStore>(NodeAt(section, ["models"]), $"{section.Path}.models", "models", catalog, new List<ConfigProblem>());
        if (models is null)
            return [];
        using var context = new NodeContext(new NodeSetup(catalog));
        var known = context.Create(models).Names;
        return [.. plan.ModelsTrained.Except(known)
            .Select(model => Problem(section, ["models"], $"stage {stage} trains '{model}', which is not among the models. {NearestName.Advice(model, [.. known], "models")}"))];
    }

    // At the node that is wrong, or at the nearest section above it that is written.
    private static ConfigProblem Problem(ConfigSection section, IReadOnlyList<string> key, string message)
    {
        var depth = key.Count;
        while (depth > 0 && NodeAt(section, [.. key.Take(depth)]) is null)
            depth--;
        return new ConfigProblem($"{section.Path}.{HoconPath.Join(key)}", NodeAt(section, [.. key.Take(depth)])!.Location, message);
    }

    private static ConfigNode? NodeAt(ConfigSection section, IReadOnlyList<string> key)
    {
        ConfigNode? node = section;
        foreach (var part in key)
            node = node is ConfigSection inner && inner.Children.TryGetValue(part, out var child) ? child : null;
        return node;
    }

    private static ConfigSection Empty(string path) => new(path, ConfigLoader.DefaultPlace, new Dictionary<string, ConfigNode>());

    private static ConfigSection With(ConfigSection section, string key, ConfigNode child) =>
        section with { Children = new OrderedDictionary<string, ConfigNode>(section.Children) { [key] = child } };

    private static ConfigSection Replace(ConfigSection root, ConfigSection section) => With(root, ConfigLoader.Root, section);

    private static ConfigProblem[] Distinct(List<ConfigProblem> problems) => [.. problems.Distinct()];
}
