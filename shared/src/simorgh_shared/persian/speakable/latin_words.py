"""Latin words as Persian writes them; compiled by hand from names and terms of everyday and technical text.

A word that is missing is transcribed by rule, which may be wrong: add it here with a row in the test's table.
"""

from simorgh_shared.persian.speakable.tables import table

LATIN_WORDS = table("""
google گوگل، gmail جیمیل، android اندروید، windows ویندوز، microsoft مایکروسافت، office آفیس، word ورد،
excel اکسل، powerpoint پاورپوینت، apple اپل، iphone آیفون، ipad آیپد، ipod آیپاد، mac مک، macbook مک‌بوک،
macos مک او اس، ios آی او اس، siri سیری، samsung سامسونگ، galaxy گلکسی، huawei هواوی، xiaomi شیائومی،
nokia نوکیا، sony سونی، lg ال جی، asus ایسوس، lenovo لنوو، dell دل، intel اینتل، nvidia انویدیا، core کور،
pentium پنتیوم، facebook فیسبوک، instagram اینستاگرام، telegram تلگرام، whatsapp واتساپ، twitter توییتر،
youtube یوتیوب، linkedin لینکدین، tiktok تیک‌تاک، wikipedia ویکی‌پدیا، amazon آمازون، netflix نتفلیکس،
spotify اسپاتیفای، tesla تسلا، uber اوبر، zoom زوم، skype اسکایپ، discord دیسکورد، reddit ردیت، linux لینوکس،
ubuntu اوبونتو، debian دبیان، python پایتون، java جاوا، javascript جاوااسکریپت، typescript تایپ‌اسکریپت،
rust راست، go گو، swift سوئیفت، kotlin کاتلین، docker داکر، kubernetes کوبرنتیز، github گیت‌هاب،
gitlab گیت‌لب، git گیت، react ری‌اکت، angular انگولار، django جنگو، flask فلسک، redis ردیس،
postgresql پستگرس‌کیوال، mysql مای‌اس‌کیوال، sqlite اس‌کیوال‌لایت، nginx انجین‌ایکس، apache آپاچی،
oracle اوراکل، unix یونیکس، firefox فایرفاکس، chrome کروم، safari سافاری، opera اپرا، edge اج،
openai اوپن‌ای‌آی، chatgpt چت جی پی تی، gpt جی پی تی، llama لاما، gemini جمینای، claude کلود، whisper ویسپر،
tensorflow تنسورفلو، pytorch پای‌تورچ، transformer ترنسفورمر، internet اینترنت، web وب، website وب‌سایت،
site سایت، online آنلاین، offline آفلاین، email ایمیل، mail میل، blog بلاگ، server سرور، cloud کلود،
data دیتا، database دیتابیس، software سافت‌ور، hardware هاردور، file فایل، folder فولدر، link لینک،
click کلیک، download دانلود، upload آپلود، login لاگین، user یوزر، password پسورد، update آپدیت، version ورژن،
app اپ، application اپلیکیشن، desktop دسکتاپ، laptop لپ‌تاپ، tablet تبلت، mobile موبایل، smart اسمارت،
phone فون، watch واچ، camera کمرا، video ویدئو، audio آدیو، radio رادیو، tv تی وی، bluetooth بلوتوث،
wifi وای‌فای، modem مودم، router روتر، usb یو اس بی، pdf پی دی اف، html اچ تی ام ال، http اچ تی تی پی،
https اچ تی تی پی اس، cpu سی پی یو، gpu جی پی یو، ram رم، rom رام، ssd اس اس دی، lcd ال سی دی، led ال ای دی،
gps جی پی اس، sim سیم، pin پین، nato ناتو، unesco یونسکو، unicef یونیسف، opec اوپک، fifa فیفا، uefa یوفا،
nasa ناسا، covid کووید، aids ایدز، laser لیزر، radar رادار، ok اوکی، pro پرو، max مکس، plus پلاس، mini مینی،
ultra اولترا، air ایر، note نوت، lite لایت، hello هلو، hi های، world ورلد، good گود، morning مورنینگ،
thank تنک، thanks تنکس، you یو، yes یس، no نو، bye بای، please پلیز، sorry ساری، the د، and اند، of آو،
in این، on آن، to تو، for فور، is ایز، with ویت، by بای، new نیو، best بست، free فری، live لایو، game گیم،
play پلی، store استور، music موزیک، love لاو، time تایم، top تاپ، one وان، two تو، my مای، news نیوز،
home هوم، house هاوس، open اوپن، source سورس، code کد، test تست، start استارت، stop استاپ، machine ماشین،
learning لرنینگ، deep دیپ، model مدل، big بیگ، computer کامپیوتر، science ساینس، network نتورک، system سیستم،
service سرویس، business بیزینس، company کمپانی، group گروپ، book بوک، page پیج، post پست، story استوری،
like لایک، comment کامنت، share شر، follow فالو، channel چنل، chat چت، bot بات، admin ادمین، support ساپورت،
help هلپ، info اینفو، contact کانتکت، about اباوت، search سرچ، example اگزمپل، fa فا، en ان، london لندن،
paris پاریس، berlin برلین، york یورک، new نیو، tehran تهران، iran ایران، iranian ایرانین، persian پرشین،
english انگلیش، french فرنچ، american امریکن، america امریکا، europe یوروپ، united یونایتد، states استیتس،
university یونیورسیتی، press پرس، times تایمز، street استریت، city سیتی، club کلاب، park پارک، real رئال،
madrid مادرید، manchester منچستر، barcelona بارسلونا، john جان، david دیوید، michael مایکل، james جیمز،
mary مری، robert رابرت، william ویلیام، george جرج، charles چارلز، thomas تامس، smith اسمیت، albert آلبرت،
einstein اینشتین، newton نیوتون، steve استیو، jobs جابز، bill بیل، gates گیتس، elon ایلان، musk ماسک،
harry هری، potter پاتر، star استار، wars وارز، batman بتمن، disney دیزنی، hollywood هالیوود، marvel مارول،
digikala دیجی‌کالا، snapp اسنپ، divar دیوار، aparat آپارات، bale بله، rubika روبیکا، eitaa ایتا،
simorgh سیمرغ، ali علی، reza رضا، hossein حسین، mohammad محمد، ahmad احمد، sara سارا، maryam مریم،
nowruz نوروز، january ژانویه، february فوریه، march مارس، april آوریل، may مه، june ژوئن، july ژوئیه،
august اوت، september سپتامبر، october اکتبر، november نوامبر، december دسامبر، monday دوشنبه،
tuesday سه‌شنبه، wednesday چهارشنبه، thursday پنجشنبه، friday جمعه، saturday شنبه، sunday یکشنبه، vs در برابر،
etc و غیره، dr دکتر، mr آقای، mrs خانم، ms خانم، prof پروفسور، bmw بی ام و، mercedes مرسدس، benz بنز،
toyota تویوتا، honda هوندا، peugeot پژو، renault رنو، kia کیا، hyundai هیوندای، ford فورد، volvo ولوو،
audi آئودی، ferrari فراری، boeing بوئینگ، airbus ایرباس، bitcoin بیت‌کوین، ethereum اتریوم، tether تتر،
token توکن، nft ان اف تی، blockchain بلاکچین، startup استارتاپ، coach کوچ، lte ال تی ای،
playstation پلی‌استیشن، xbox ایکس‌باکس، nintendo نینتندو، photoshop فتوشاپ، adobe ادوبی، christmas کریسمس،
eve ایو، law لا، maker میکر، make میک، code کد، face فیس، life لایف، white وایت، black بلک، red رد، blue بلو،
green گرین، king کینگ، queen کویین، prince پرنس، day دی، night نایت، man من، woman وومن، people پیپل، the د،
great گریت، little لیتل، old اولد، land لند، ireland آیرلند، science ساینس، nature نیچر، art آرت، rock راک،
landscape لنداسکیپ، valley ولی، wilhelm ویلهلم، physics فیزیکس، medical مدیکال، health هلث، food فود،
water واتر، fire فایر، world ورلد، war وار، peace پیس، earth ارث، moon مون، sun سان، sky اسکای، space اسپیس،
park پارک، river ریور، street استریت، id آی دی، path پث، year ییر، years ییرز، report ریپورت، old اولد، he هی،
she شی، we وی، it ایت، be بی، do دو، so سو، up آپ، at ات، as از، an ان، or اور، if ایف، us آس، am ام، are آر،
was واز، not نات، but بات، all آل، from فرام، this دیس، that دت، what وات، who هو، how هاو، why وای، when ون،
where ور، name نیم، high های، low لو، show شو، tour تور، band بند، team تیم، league لیگ، cup کاپ، world ورلد،
series سریز، season سیزن، festival فستیوال، awards اواردز، academy آکادمی، award اوارد، media مدیا، touch تاچ،
layer لایر، services سرویسز، initiative اینیشیتیو، basketball بسکتبال، football فوتبال، volleyball والیبال،
california کالیفرنیا، vitamin ویتامین، omega امگا، ph پی اچ، dna دی ان ای، rna آر ان ای، ct سی تی، scan اسکن،
mri ام آر آی، x ایکس، cafe کافه، taxi تاکسی، hotel هتل، restaurant رستوران، pizza پیتزا، hamburger همبرگر
""")
