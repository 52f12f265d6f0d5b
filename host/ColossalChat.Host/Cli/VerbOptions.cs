using System.CommandLine;
using System.Reflection;
using System.Runtime.CompilerServices;
using ColossalChat.Contracts;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Cli;

/// <summary>Turns an options record into flags and arguments, and what was parsed back into the record.</summary>
internal sealed class VerbOptions
{
    private readonly Type _type;
    private readonly List<Action<ParseResult, object>> _readers = [];

    private VerbOptions(Type type) => _type = type;

    /// <summary>Adds a record's flags and arguments to a command.</summary>
    public static VerbOptions AddTo(Command command, Type type)
    {
        var options = new VerbOptions(type);
        var defaults = Activator.CreateInstance(type)!;
        var properties = type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.SetMethod is { IsPublic: true }).ToArray();
        foreach (var property in properties.Where(IsArgument).OrderBy(property => property.GetCustomAttribute<CliArgumentAttribute>()!.Position))
            options.AddArgument(command, property);
        foreach (var property in properties.Where(property => !IsArgument(property)))
            options.AddFlag(command, property, property.GetValue(defaults));
        return options;
    }

    /// <summary>The record.</summary>
    /// <exception cref="UserErrorException">A value does not fit its type, or the record's own check finds problems.</exception>
    public object Read(ParseResult parsed)
    {
        var options = Activator.CreateInstance(_type)!;
        foreach (var read in _readers)
            read(parsed, options);
        if (options is ICheckedOptions check && check.Problems().ToArray() is { Length: > 0 } problems)
            throw new UserErrorException(string.Join('\n', problems), ExitCode.Usage);
        return options;
    }

    private static bool IsArgument(PropertyInfo property) => property.GetCustomAttribute<CliArgumentAttribute>() is not null;

    private static bool IsRequired(PropertyInfo property) => property.GetCustomAttribute<RequiredMemberAttribute>() is not null;

    private void AddArgument(Command command, PropertyInfo property)
    {
        var name = KebabCase.Of(property.Name);
        var element = OptionsShape.ElementOf(property.PropertyType);
        var argument = new Argument<string[]>(name)
        {
            Description = property.GetCustomAttribute<CliHelpAttribute>()?.Text,
            Arity = (element is not null, IsRequired(property)) switch
            {
                (true, true) => ArgumentArity.OneOrMore,
                (true, false) => ArgumentArity.ZeroOrMore,
                (false, true) => ArgumentArity.ExactlyOne,
                _ => ArgumentArity.ZeroOrOne,
            },
            CustomParser = Words,
        };
        command.Arguments.Add(argument);
        _readers.Add((parsed, options) => Set(property, options, parsed.GetValue(argument), name));
    }

    private void AddFlag(Command command, PropertyInfo property, object? initial)
    {
        var name = "--" + KebabCase.Of(property.Name);
        var help = property.GetCustomAttribute<CliHelpAttribute>()?.Text;
        if ((Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType) == typeof(bool))
        {
            AddSwitch(command, property, name, help, initial is true);
            return;
        }

        var element = OptionsShape.ElementOf(property.PropertyType);
        var option = new Option<string[]>(name)
        {
            Description = Explain(help, initial),
            Arity = element is null ? ArgumentArity.ExactlyOne : ArgumentArity.OneOrMore,
            Required = IsRequired(property),
            CustomParser = Words,
            HelpName = (element ?? property.PropertyType) is { IsEnum: true } choices ? string.Join('|', ScalarText.EnumNames(choices)) : KebabCase.Of(property.Name),
        };
        command.Options.Add(option);
        _readers.Add((parsed, options) => Set(property, options, parsed.GetResult(option) is { Implicit: false } ? parsed.GetValue(option) : null, name));
    }

    // A switch that is on by default is turned off by its negation.
    private void AddSwitch(Command command, PropertyInfo property, string name, string? help, bool isOn)
    {
        var option = new Option<bool>(isOn ? $"--no-{name[2..]}" : name) { Description = isOn ? $"Off: {help}" : help, Arity = ArgumentArity.Zero };
        command.Options.Add(option);
        _readers.Add((parsed, options) =>
        {
            if (parsed.GetResult(option) is { Implicit: false })
                property.SetValue(options, !isOn);
        });
    }

    // Values are converted by us, so that messages say what is allowed.
    private static string[] Words(System.CommandLine.Parsing.ArgumentResult result) => [.. result.Tokens.Select(token => token.Value)];

    private static void Set(PropertyInfo property, object options, string[]? texts, string name)
    {
        if (texts is not { Length: > 0 })
            return;
        if (OptionsShape.ElementOf(property.PropertyType) is { } element)
            property.SetValue(options, FlagValue.ParseList(element, texts, name));
        else if (texts.Length == 1)
            property.SetValue(options, FlagValue.Parse(property.PropertyType, texts[0], name));
        else
            throw new UserErrorException($"{name} was given {texts.Length} times; give it once.", ExitCode.Usage);
    }

    private static string? Explain(string? help, object? initial)
    {
        var text = initial switch
        {
            null or string { Length: 0 } or Array { Length: 0 } => null,
            System.Collections.IEnumerable and not string => null,
            _ => ScalarText.Format(initial),
        };
        return text is null ? help : $"{help} [default: {text}]";
    }
}
