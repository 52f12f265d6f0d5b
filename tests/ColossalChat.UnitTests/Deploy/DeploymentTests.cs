using System.Diagnostics;
using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using ColossalChat.Host.Config;
using ColossalChat.UnitTests.Host;
using Xunit;

namespace ColossalChat.UnitTests.Deploy;

/// <summary>The examples under host/deploy hang together: nothing in them names what is not there.</summary>
[Trait("Category", "CI")]
public sealed class DeploymentTests
{
    private static readonly string s_folder = Path.Combine(ShippedPlugins.Root, "host", "deploy");
    private static readonly string s_unit = Path.Combine(s_folder, "systemd", "colossalchat-node@.service");
    private static readonly string s_compose = Path.Combine(s_folder, "docker", "compose.yaml");

    private static IReadOnlyList<YamlNode> Manifests => [.. Directory.GetFiles(Path.Combine(s_folder, "kubernetes"), "*.yaml").Order(StringComparer.Ordinal).SelectMany(YamlFile.Read)];

    private static IReadOnlyList<YamlNode> Workloads => [.. Manifests.Where(document => document["spec"]["template"].IsThere)];

    // ---- systemd ----

    [Fact]
    public void Every_line_of_the_unit_is_a_known_key_of_its_section()
    {
        var known = new Dictionary<string, string[]>
        {
            ["Unit"] = ["Description", "After", "Wants", "StartLimitIntervalSec", "StartLimitBurst"],
            ["Service"] =
            [
                "Type", "User", "WorkingDirectory", "EnvironmentFile", "ExecStart", "Restart", "RestartSec", "RestartPreventExitStatus", "KillSignal", "TimeoutStopSec",
                "SuccessExitStatus", "LimitNOFILE", "KillMode", "NoNewPrivileges", "ProtectSystem", "ProtectHome", "ReadWritePaths",
            ],
            ["Install"] = ["WantedBy"],
        };
        foreach (var (section, key, _) in UnitLines())
            Assert.Contains(key, known[section]);
        Assert.Equal(["Unit", "Service", "Install"], UnitLines().Select(line => line.Section).Distinct());
        Assert.Equal("always", UnitValue("Restart"));
        int[] final = [(int)ExitCode.Ok, (int)ExitCode.Usage, (int)ExitCode.Invalid, (int)ExitCode.NotFound];
        Assert.Equal(final, UnitValue("RestartPreventExitStatus").Split(' ').Select(int.Parse));
        Assert.Equal(((int)ExitCode.Interrupted).ToString(System.Globalization.CultureInfo.InvariantCulture), UnitValue("SuccessExitStatus"));
    }

    [SystemdFact]
    public async Task Systemd_finds_nothing_to_say_about_the_unit()
    {
        var folder = Directory.CreateTempSubdirectory("colossalchat-unit-").FullName;
        var instance = Path.Combine(folder, "colossalchat-node@rollout.service");
        File.Copy(s_unit, instance);

        var start = new ProcessStartInfo("systemd-analyze", ["verify", instance]) { RedirectStandardError = true, RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var said = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Directory.Delete(folder, recursive: true);

        // Whether dotnet is where the unit looks for it is the machine's affair.
        Assert.Equal("", string.Join('\n', said.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !line.Contains("is not executable", StringComparison.Ordinal))));
    }

    // ---- Docker ----

    [Fact]
    public void Compose_services_use_only_what_the_file_and_the_folder_have()
    {
        var file = Assert.Single(YamlFile.Read(s_compose));
        var services = file["services"];
        Assert.Equal(["coordinator", "rollout-1", "rollout-2", "scoring", "trainer-1", "trainer-2"], services.Keys);
        foreach (var name in services.Keys)
        {
            var service = services[name];
            Assert.Equal(name, service["environment"]["COLOSSALCHAT_NODE_HOST"].Text);
            Assert.NotEmpty(service["networks"].Texts);
            Assert.Empty(service["networks"].Texts.Except(file["networks"].Keys));
            Assert.Empty(service["depends_on"].Texts.Except(services.Keys));
            var volumes = service["volumes"].Texts.Select(volume => volume.Split(':')[0]).ToArray();
            Assert.Empty(volumes.Where(volume => !volume.StartsWith('.')).Except(file["volumes"].Keys));
            Assert.Contains("runs", volumes);
            Assert.All(volumes.Where(volume => volume.EndsWith("cluster.hocon", StringComparison.Ordinal)), volume => Assert.True(File.Exists(Beside(s_compose, volume)), volume));
            Assert.True(File.Exists(Path.Combine(Beside(s_compose, service["build"]["context"].Text), service["build"]["dockerfile"].Text)));
        }
    }

    [Fact]
    public void The_dockerfile_copies_from_its_own_stages_and_starts_the_host()
    {
        var lines = File.ReadAllLines(Path.Combine(s_folder, "docker", "Dockerfile"))
            .Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).ToArray();
        string[] known = ["FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "ENTRYPOINT", "CMD"];
        Assert.Empty(lines.Select(line => line[0]).Except(known));
        var stages = lines.Where(line => line[0] == "FROM" && line.Length == 4).Select(line => line[3]).ToArray();
        var copies = lines.Where(line => line[0] == "COPY" && line[1].StartsWith("--from=", StringComparison.Ordinal)).ToArray();
        Assert.Empty(copies.Select(copy => copy[1]["--from=".Length..]).Except(stages));
        Assert.Equal(["ENTRYPOINT", "[\"dotnet\",", $"\"{copies.Single()[3]}/ColossalChat.Host.dll\"]"], lines.Single(line => line[0] == "ENTRYPOINT"));
    }

    // ---- Kubernetes ----

    [Fact]
    public void Every_manifest_says_what_it_is_and_no_two_are_the_same()
    {
        Assert.All(Manifests, document => Assert.True(
            document["apiVersion"].Text.Length > 0 && document["kind"].Text.Length > 0 && document["metadata"]["name"].Text.Length > 0, document.ToString()));
        var names = Manifests.Select(document => $"{document["kind"].Text} {document["metadata"]["name"].Text}").ToArray();
        Assert.Equal(names.Distinct(), names);
        Assert.Equal(4, Workloads.Count);
    }

    [Fact]
    public void Selectors_find_the_pods_they_are_for()
    {
        var service = Assert.Single(Manifests, document => document["kind"].Text == "Service");
        Assert.Equal("None", service["spec"]["clusterIP"].Text);
        foreach (var workload in Workloads)
        {
            var labels = workload["spec"]["template"]["metadata"]["labels"].Pairs;
            Assert.Empty(service["spec"]["selector"].Pairs.Except(labels));
            var name = service["metadata"]["name"].Text;
            if (workload["kind"].Text == "StatefulSet")
            {
                Assert.Equal(name, workload["spec"]["serviceName"].Text);
                Assert.Equal(labels, workload["spec"]["selector"]["matchLabels"].Pairs);
            }
            else
                Assert.Equal((name, "Indexed"), (workload["spec"]["template"]["spec"]["subdomain"].Text, workload["spec"]["completionMode"].Text));
        }
    }

    [Fact]
    public void Pods_mount_volumes_that_are_there()
    {
        var claims = Manifests.Where(document => document["kind"].Text == "PersistentVolumeClaim").Select(document => document["metadata"]["name"].Text).ToArray();
        var made = File.ReadAllText(Path.Combine(s_folder, "kubernetes", "shared.yaml"));
        foreach (var pod in Workloads.Select(workload => workload["spec"]["template"]["spec"]))
        {
            var container = Assert.Single(pod["containers"].Items);
            Assert.Equal(pod["volumes"].Items.Select(volume => volume["name"].Text), container["volumeMounts"].Items.Select(mount => mount["name"].Text));
            Assert.Empty(pod["volumes"].Items.Select(volume => volume["persistentVolumeClaim"]["claimName"].Text).Where(claim => claim.Length > 0).Except(claims));

            // What is no manifest is made by a command that the page shows.
            Assert.All(pod["volumes"].Items.Select(volume => volume["configMap"]["name"].Text).Where(name => name.Length > 0), name => Assert.Contains($"create configmap {name} ", made, StringComparison.Ordinal));
            Assert.All(pod["volumes"].Items.Select(volume => volume["secret"]["secretName"].Text).Where(name => name.Length > 0), name => Assert.Contains($"create secret generic {name} ", made, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void The_seed_is_the_coordinators_pod()
    {
        var job = Assert.Single(Workloads, workload => workload["kind"].Text == "Job");
        var pod = $"{job["metadata"]["name"].Text}-0.{job["spec"]["template"]["spec"]["subdomain"].Text}";
        Assert.Equal(pod, PodEnvironment(job)["COLOSSALCHAT_NODE_HOST"]);
        Assert.All(Workloads, workload => Assert.Equal($"{pod}:4053", PodEnvironment(workload)["COLOSSALCHAT_NODE_SEED"]));
        Assert.All(Workloads.Where(workload => workload["kind"].Text != "Job"), workload => Assert.Equal("$(POD_NAME).colossalchat", PodEnvironment(workload)["COLOSSALCHAT_NODE_HOST"]));
    }

    // ---- All of them ----

    [Fact]
    public void Every_environment_fills_in_the_configuration()
    {
        var file = Path.Combine(s_folder, "cluster.hocon");
        var run = File.ReadAllText(Path.Combine(ShippedPlugins.Root, "cluster.hocon"));
        var environments = YamlFile.Read(s_compose)[0]["services"] is var services
            ? services.Keys.Select(name => services[name]["environment"].Pairs).Concat(Workloads.Select(PodEnvironment)).Append(UnitEnvironment()).ToArray()
            : [];
        Assert.Equal(11, environments.Length);
        foreach (var environment in environments)
        {
            var config = ConfigLoader.Load(File.ReadAllText(file), file, [], environment, new MemoryFiles(("run.hocon", run)));
            var (bound, problems) = RunBinder.TryBind(config, ShippedPlugins.Catalog);
            Assert.Equal("", string.Join('\n', problems));
            Assert.Equal((environment["COLOSSALCHAT_NODE_HOST"], environment["COLOSSALCHAT_NODE_PORT"]), (config.At("akka.remote.dot-netty.tcp.public-hostname"), config.At("akka.remote.dot-netty.tcp.port")));
            Assert.Equal([$"akka.tcp://colossalchat@{environment["COLOSSALCHAT_NODE_SEED"]}"], config.Items("akka.cluster.seed-nodes"));
            if (environment.TryGetValue("COLOSSALCHAT_TELEMETRY__PROMETHEUS_PORT", out var port))
                Assert.Equal(port, bound!.Settings.Telemetry.PrometheusPort.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    [Fact]
    public void The_line_that_switches_TLS_on_names_the_files_of_the_secret()
    {
        var text = File.ReadAllText(Path.Combine(s_folder, "cluster.hocon"));
        var config = ConfigLoader.Load(text.Replace("# tls {", "tls {", StringComparison.Ordinal), "cluster.hocon", [], UnitEnvironment(), new MemoryFiles(("run.hocon", "colossalchat { }")));
        var files = ((string[])["certificate", "key", "authorities"]).Select(key => config.At($"colossalchat.cluster.tls.{key}")).ToArray();

        Assert.Equal("", config.Lines());
        var mount = Workloads[0]["spec"]["template"]["spec"]["containers"].Items[0]["volumeMounts"].Items.Single(mount => mount["name"].Text == "certificates")["mountPath"].Text;
        Assert.All(files, file => Assert.Equal(mount, Path.GetDirectoryName(file)));
        var made = File.ReadAllText(Path.Combine(s_folder, "kubernetes", "shared.yaml"));
        Assert.All(files, file => Assert.Contains($"--from-file={Path.GetFileName(file)}", made, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Every_command_line_is_one_of_the_program()
    {
        var services = YamlFile.Read(s_compose)[0]["services"];
        var lines = services.Keys.Select(name => services[name]["command"].Texts)
            .Concat(Workloads.Select(workload => workload["spec"]["template"]["spec"]["containers"].Items[0]["args"].Texts))
            .Append(UnitValue("ExecStart").Replace("${COLOSSALCHAT_NODE_ROLES}", "rollout,reward", StringComparison.Ordinal).Split(' ')[2..])
            .ToArray();
        Assert.Equal(11, lines.Length);
        foreach (var line in lines)
        {
            Assert.Contains("/etc/colossalchat/cluster.hocon", line);

            // The words are right when nothing but the file is missing.
            var error = new StringWriter();
            var code = await HostProgram.RunAsync([.. line.Select(word => word == "/etc/colossalchat/cluster.hocon" ? "no-such-file.hocon" : word)], new StringWriter(), error, isTerminal: false);
            Assert.True(code == ExitCode.NotFound, $"{string.Join(' ', line)}: {code}, {error}");
        }
    }

    private static IReadOnlyDictionary<string, string> PodEnvironment(YamlNode workload) =>
        workload["spec"]["template"]["spec"]["containers"].Items[0]["env"].Items.Where(variable => variable["value"].IsThere).ToDictionary(variable => variable["name"].Text, variable => variable["value"].Text);

    // The file that an instance of the unit reads is shown at its head.
    private static Dictionary<string, string> UnitEnvironment() => File.ReadAllLines(s_unit)
        .Where(line => line.StartsWith("#   COLOSSALCHAT_", StringComparison.Ordinal)).Select(line => line[4..].Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);

    private static List<(string Section, string Key, string Value)> UnitLines()
    {
        var lines = new List<(string, string, string)>();
        var section = "";
        foreach (var line in File.ReadLines(s_unit).Where(line => line.Length > 0 && line[0] != '#'))
        {
            if (line is ['[', .. var name, ']'])
                section = name;
            else
                lines.Add((section, line[..line.IndexOf('=', StringComparison.Ordinal)], line[(line.IndexOf('=', StringComparison.Ordinal) + 1)..]));
        }

        return lines;
    }

    private static string UnitValue(string key) => UnitLines().Single(line => line.Key == key).Value;

    private static string Beside(string file, string relative) => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, relative));

    [AttributeUsage(AttributeTargets.Method)]
    private sealed class SystemdFactAttribute : FactAttribute
    {
        public SystemdFactAttribute() => Skip = File.Exists("/usr/bin/systemd-analyze") ? null! : "needs systemd-analyze";
    }
}
