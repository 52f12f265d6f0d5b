using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace ColossalChat.UnitTests.House;

/// <summary>Prints an assembly's public surface, one line a member, sorted, so that a diff shows each change of a contract.</summary>
internal sealed class SurfacePrinter
{
    private const BindingFlags Own = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
    private readonly NullabilityInfoContext _nullability = new();
    private readonly StringBuilder _text = new();

    public static string Print(Assembly assembly)
    {
        var printer = new SurfacePrinter();
        foreach (var type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
            printer.Print(type);
        return printer._text.ToString();
    }

    private void Print(Type type)
    {
        var bases = new[] { type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType) && parent != typeof(Enum) ? parent : null }
            .OfType<Type>()
            .Concat(type.GetInterfaces().Where(face => !face.Name.StartsWith("IEquatable", StringComparison.Ordinal)).OrderBy(face => face.Name, StringComparer.Ordinal))
            .Select(Name)
            .ToArray();
        _text.Append(KindOf(type)).Append(' ').Append(Name(type)).Append(bases.Length == 0 || type.IsEnum ? "" : $" : {string.Join(", ", bases)}").Append('\n');
        if (type.IsEnum)
        {
            foreach (var name in Enum.GetNames(type))
                _text.Append($"    {name} = {Convert.ToInt64(Enum.Parse(type, name), null)}\n");
            return;
        }

        var members = type.GetMembers(Own).Where(IsSurface).Select(Line).Order(StringComparer.Ordinal);
        foreach (var member in members)
            _text.Append("    ").Append(member).Append('\n');
    }

    private static bool IsSurface(MemberInfo member) => member switch
    {
        PropertyInfo { Name: "EqualityContract" } => false,
        PropertyInfo property => property.GetAccessors(nonPublic: true).Any(IsVisible),
        MethodInfo { IsSpecialName: true } => false,
        MethodBase method => IsVisible(method) && !IsGenerated(method),
        FieldInfo field => field.IsPublic || field.IsFamily,
        EventInfo => true,
        _ => false,
    };

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static bool IsGenerated(MemberInfo member) => member.GetCustomAttribute<CompilerGeneratedAttribute>() is not null;

    private string Line(MemberInfo member) => member switch
    {
        PropertyInfo property => $"{Modifiers(property.GetAccessors(nonPublic: true)[0])}{Required(property)}{Name(property.PropertyType)}{Mark(_nullability.Create(property))} {property.Name}{Indexer(property)} {{ {Accessors(property)}}}",
        ConstructorInfo constructor => $"{Modifiers(constructor)}new({Parameters(constructor)})",
        MethodInfo method => $"{Modifiers(method)}{Name(method.ReturnType)}{Mark(_nullability.Create(method.ReturnParameter))} {method.Name}{Generic(method)}({Parameters(method)})",
        FieldInfo { IsLiteral: true } constant => $"const {Name(constant.FieldType)} {constant.Name} = {constant.GetRawConstantValue()}",
        FieldInfo field => $"{(field.IsStatic ? "static " : "")}{Name(field.FieldType)} {field.Name}",
        _ => $"event {member.Name}",
    };

    private static string Modifiers(MethodBase method)
    {
        var access = method.IsPublic ? "" : "protected ";
        if (method.IsStatic)
            return access + "static ";
        if (method.DeclaringType!.IsInterface)
            return method.IsAbstract ? "" : "default ";
        return access + (method.IsAbstract ? "abstract " : method is { IsVirtual: true, IsFinal: false } && !method.DeclaringType.IsSealed ? "virtual " : "");
    }

    private static string Required(PropertyInfo property) => property.CustomAttributes.Any(mark => mark.AttributeType.Name == "RequiredMemberAttribute") ? "required " : "";

    private static string Indexer(PropertyInfo property) =>
        property.GetIndexParameters() is { Length: > 0 } keys ? $"[{string.Join(", ", keys.Select(key => Name(key.ParameterType)))}]" : "";

    private static string Accessors(PropertyInfo property)
    {
        var get = property.GetMethod is { } getter && IsVisible(getter) ? "get; " : "";
        if (property.SetMethod is not { } setter || !IsVisible(setter))
            return get;
        return get + (setter.ReturnParameter.GetRequiredCustomModifiers().Any(modifier => modifier.Name == "IsExternalInit") ? "init; " : "set; ");
    }

    private string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        $"{(parameter.IsOut ? "out " : "")}{Name(parameter.ParameterType)}{Mark(_nullability.Create(parameter))} {parameter.Name}{(parameter.HasDefaultValue ? " = " + (parameter.DefaultValue ?? "default") : "")}"));

    private static string Mark(NullabilityInfo info) =>
        info is { ReadState: NullabilityState.Nullable, Type.IsValueType: false } or { WriteState: NullabilityState.Nullable, Type.IsValueType: false } ? "?" : "";

    private static string Generic(MethodInfo method) =>
        method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(argument => argument.Name))}>" : "";

    private static string KindOf(Type type) => type switch
    {
        { IsInterface: true } => "interface",
        { IsEnum: true } => "enum",
        { IsValueType: true } => "struct",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsAbstract: true } => "abstract class",
        { IsSealed: true } => "sealed class",
        _ => "class",
    };

    private static string Name(Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } inner)
            return Name(inner) + "?";
        if (type.IsArray || type.IsByRef)
            return Name(type.GetElementType()!) + (type.IsArray ? "[]" : "");
        var name = type.IsGenericParameter ? type.Name : type.Namespace?.StartsWith("ColossalChat", StringComparison.Ordinal) == true ? type.FullName ?? $"{type.Namespace}.{type.Name}" : type.Name;
        var tick = name.IndexOf('`', StringComparison.Ordinal);
        return tick < 0 ? name : $"{name[..tick]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>";
    }
}
