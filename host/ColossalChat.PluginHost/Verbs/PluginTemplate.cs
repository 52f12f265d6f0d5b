namespace ColossalChat.PluginHost.Verbs;

/// <summary>Source of a small plugin that works. Built and tried by a test, so it cannot rot.</summary>
internal sealed class PluginTemplate
{
    private const string Project =
        """
        <Project Sdk="Microsoft.NET.Sdk">
          <Import Project="$(COLOSSALCHAT_HOME)/sdk/ColossalChat.Plugin.props" Condition="'$(COLOSSALCHAT_HOME)' != ''" />
          <PropertyGroup Condition="'$(COLOSSALCHAT_HOME)' == ''"><TargetFramework>net10.0</TargetFramework></PropertyGroup>
          <Target Name="NeedsHome" BeforeTargets="Restore;CollectPackageReferences" Condition="'$(COLOSSALCHAT_HOME)' == ''"><Error Text="Set COLOSSALCHAT_HOME to the folder of ColossalChat.Host.dll, then build again." /></Target>
        </Project>

        """;

    private const string Reward =
        """
        using ColossalChat.Contracts;

        namespace {{project}};

        public sealed record Options
        {
            /// <summary>Words of an answer that earn the full reward. 1 or more; default 20.</summary>
            public int EnoughWords { get; init; } = 20;
        }

        /// <summary>Rewards long answers: words / enough-words, at most 1.</summary>
        public sealed class Reward(Options options, INodeContext node) : IPlugin, IScoringRole
        {
            public Reward() : this(new Options(), null!) { }
            public void Register(IPluginRegistry registry) =>
                registry.Add<IScoringRole, Options>("{{name}}", (options, node) => new Reward(options, node));
            public ScoreKind Kind => ScoreKind.Rewards;
            public Scores Score(Rollout rollout, CancellationToken cancel)
            {
                var tokenizer = node.Tokenizer(rollout.Prompts.TokenizerHash);
                var words = Enumerable.Range(0, rollout.Rows).Select(row =>
                    tokenizer.Decode(rollout.Tokens[row].ToArray()).Split(' ', StringSplitOptions.RemoveEmptyEntries).Length);
                return Scores.Of(Kind, Ragged.Scalars<float>(words.Select(n => Math.Min(1f, (float)n / options.EnoughWords)).ToArray()));
            }
            public void LoadWeights(WeightsPublication publication, CancellationToken cancel) { }
            public void Dispose() { }
        }

        """;

    private const string Loss =
        """
        using ColossalChat.Contracts;
        using ColossalChat.Contracts.Torch;
        using static TorchSharp.torch;

        namespace {{project}};

        public sealed record Options
        {
            /// <summary>How far the ratio may leave 1 before its gradient is cut. Above 0, below 1; default 0.2.</summary>
            public double ClipRange { get; init; } = 0.2;
        }

        /// <summary>Clipped surrogate, averaged over the window's response tokens.</summary>
        public sealed class Loss(Options options) : IPlugin, IPolicyLoss
        {
            public Loss() : this(new Options()) { }
            public void Register(IPluginRegistry registry) =>
                registry.Add<IPolicyLoss, Options>("{{name}}", (options, _) => new Loss(options));
            public ObjectiveResult Compute(PolicyLossInput input)
            {
                using var scope = NewDisposeScope();
                var zeros = zeros_like(input.NewLogProbs); // [B, T]; padding may hold NaN: replace it before computing with it
                var ratio = where(input.IsResponse, input.NewLogProbs - input.OldLogProbs, zeros).clamp(-20, 20).exp();
                var advantages = where(input.IsResponse, input.Advantages * input.ImportanceWeights, zeros);
                var clipped = ratio.clamp(1 - options.ClipRange, 1 + options.ClipRange);
                var loss = maximum(-advantages * ratio, -advantages * clipped).sum() / Math.Max(1, input.Totals.Targets);
                var clipShare = ratio.ne(clipped).sum().item<long>() / (double)Math.Max(1, input.Totals.Targets);
                return new ObjectiveResult(loss.MoveToOuterDisposeScope(), new Dictionary<string, double> { ["clip_frac"] = clipShare });
            }
        }

        """;

    private readonly string _sourceName;
    private readonly string _source;
    private readonly string _use;

    private PluginTemplate(string sourceName, string source, string use) => (_sourceName, _source, _use) = (sourceName, source, use);

    /// <summary>What can be written.</summary>
    public static IReadOnlyList<string> Kinds { get; } = ["loss", "reward"];

    public static PluginTemplate? Find(string kind) => kind switch
    {
        "loss" => new PluginTemplate("Loss.cs", Loss, "roles.trainers.policy.policy-loss.use"),
        "reward" => new PluginTemplate("Reward.cs", Reward, "roles.reward.use"),
        _ => null,
    };

    /// <summary>Builds the plugin into a plugin folder of one's own, which <c>--plugins my-plugins</c> loads.</summary>
    public static string BuildCommand(string folder, string project) =>
        $"COLOSSALCHAT_HOME={AppContext.BaseDirectory.TrimEnd('/')} dotnet build -c Release {folder} -o my-plugins/{project}";

    /// <summary>File names and their content.</summary>
    public IEnumerable<(string File, string Text)> Files(string project, string name)
    {
        yield return ($"{project}.csproj", Project);
        yield return (_sourceName, _source.Replace("{{project}}", project).Replace("{{name}}", name));
        yield return ("README.md",
            $"""
            # {project}

            Build it with `dotnet build -c Release {project} -o my-plugins/{project}` from the folder above this one (COLOSSALCHAT_HOME is the folder of ColossalChat.Host.dll). Use it with `plugins.folder = my-plugins` and `{_use} = {name}` under `colossalchat` in cluster.hocon; `colossalchat plugin info {name} --plugins my-plugins` shows its options.

            """);
    }
}
