using ColossalChat.Contracts;
using McMaster.NETCore.Plugins;
using Xunit;

namespace ColossalChat.UnitTests.Charts;

[Trait("Category", "CI")]
public sealed class ChartsPluginTests
{
    [Fact]
    public void A_picture_is_drawn_When_loaded_from_its_folder_in_a_context_of_its_own()
    {
        var folder = PluginFolder();
        using var loader = PluginLoader.CreateFromAssemblyFile(
            Path.Combine(folder, "ColossalChat.Charts.dll"), isUnloadable: true, [typeof(IPlugin)]);
        var type = loader.LoadDefaultAssembly().GetTypes().Single(t => t.IsPublic && typeof(IPlugin).IsAssignableFrom(t));
        Assert.NotEqual(typeof(ColossalChat.Charts.ChartsPlugin), type);
        var registry = new OneFactory();
        ((IPlugin)Activator.CreateInstance(type)!).Register(registry);
        var file = Path.Combine(Path.GetTempPath(), $"charts-{Guid.NewGuid():N}.png");

        registry.Renderer!.RenderPng([new Chart("Loss", "step", "nats", [new ChartLine("loss", [1, 2], [2, 1])])], file);

        Assert.Equal("PNG"u8.ToArray(), File.ReadAllBytes(file)[1..4]);
        File.Delete(file);
    }

    [Fact]
    public void The_folder_stays_small_When_only_this_platforms_natives_are_in_it()
    {
        var bytes = new DirectoryInfo(PluginFolder()).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);

        Assert.InRange(bytes, 1_000_000, 60_000_000);
    }

    private static string PluginFolder()
    {
        var output = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var root = output;
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "ColossalChat.sln")))
            root = root.Parent;
        Assert.NotNull(root);
        return Path.Combine(root.FullName, "plugins", "ColossalChat.Charts", "bin", output.Parent!.Name, output.Name);
    }

    private sealed class OneFactory : IPluginRegistry
    {
        public IChartRenderer? Renderer { get; private set; }

        public void Add<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
            where TSeam : class
            where TOptions : class, new()
        {
            Assert.Equal("png", name);
            Renderer = create(new TOptions(), null!) as IChartRenderer;
        }

        public void AddShared<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
            where TSeam : class
            where TOptions : class, new() => throw new InvalidOperationException("A renderer is no shared object.");
    }
}
